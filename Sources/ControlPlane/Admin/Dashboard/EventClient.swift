// SPDX-License-Identifier: Apache-2.0
internal import Hummingbird
internal import NIOCore
internal import Synchronization

/// A client of `/api/v1/events`.
///
/// Written by the task that publishes and by the client's own. Only the newest event waits, so a
/// slow client gets fewer of them; one that takes none for a while is cut off.
final class EventClient: Sendable {
    /// Longest that an event may be on its way.
    static let patience = Duration.seconds(10)
    /// Most that the kernel, and this process, keep for a client that does not read.
    private static let sendBuffer = 64 << 10
    private static let waterMark = 16 << 10

    private enum Activity {
        case waiting
        case writing(since: ContinuousClock.Instant)
        case ended
    }

    private let events: AsyncStream<ByteBuffer>
    private let next: AsyncStream<ByteBuffer>.Continuation
    private let activity = Mutex(Activity.waiting)
    private let channel: any Channel

    init(_ channel: any Channel) {
        self.channel = channel
        (events, next) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// Hands over an event, or cuts the client off when an earlier one is stuck.
    func deliver(_ event: ByteBuffer, at now: ContinuousClock.Instant = .now) {
        let isStuck = activity.withLock { activity in
            if case .writing(let since) = activity { now - since > Self.patience } else { false }
        }
        if isStuck { end() } else { next.yield(event) }
    }

    /// Ends the connection: in order when nothing is on its way, else at once.
    func end() {
        let isWriting = activity.withLock { activity in
            defer { activity = .ended }
            if case .writing = activity { return true }
            return false
        }
        next.finish()
        if isWriting || !channel.isWritable { channel.close(promise: nil) }
    }

    /// Writes events until the client or the daemon goes away.
    ///
    /// - Throws: When the client is gone.
    func write(to writer: inout any ResponseBodyWriter) async throws {
        try await boundBuffers()
        try await write(ServerSentEvent.opening, to: &writer)
        for await event in events { try await write(event, to: &writer) }
        try await writer.finish(nil)
    }

    private func write(_ event: ByteBuffer, to writer: inout any ResponseBodyWriter) async throws {
        guard begin() else { return }
        try await writer.write(event)
        activity.withLock { if case .writing = $0 { $0 = .waiting } }
    }

    /// Notes that an event is on its way; no when the connection is to end.
    private func begin() -> Bool {
        activity.withLock { activity in
            if case .ended = activity { return false }
            activity = .writing(since: .now)
            return true
        }
    }

    private func boundBuffers() async throws {
        try await channel.setOption(.socketOption(.so_sndbuf), value: .init(Self.sendBuffer)).get()
        try await channel.setOption(
            .writeBufferWaterMark, value: .init(low: 1, high: Self.waterMark)
        ).get()
    }
}
