// SPDX-License-Identifier: Apache-2.0
internal import Foundation
internal import NIOCore
internal import Synchronization

/// Hands one document each second to everybody who listens to `/api/v1/events`.
///
/// Written by requests that join and by the task that publishes. A client is counted for as long
/// as its request holds it, so one that goes away without a word frees its place.
final class EventHub: Sendable {
    /// Clients at once.
    static let maximumClients = 32

    private struct Member {
        weak var client: EventClient?
    }

    private struct State {
        var members: [Member] = []
        var hasEnded = false
    }

    private let state = Mutex(State())

    /// Takes a client in.
    ///
    /// - Returns: `nil` when all places are taken, or when the daemon is on its way out.
    func join(_ channel: any Channel) -> EventClient? {
        state.withLock { state in
            state.members.removeAll { $0.client == nil }
            guard !state.hasEnded, state.members.count < Self.maximumClients else { return nil }
            let client = EventClient(channel)
            state.members.append(Member(client: client))
            return client
        }
    }

    /// Makes a document and hands it to all, when there is anybody.
    ///
    /// When it cannot be made, a comment keeps the connections alive.
    func publish(_ document: () async throws -> Data) async {
        let clients = clients
        guard !clients.isEmpty else { return }
        let event: ByteBuffer
        do {
            event = ServerSentEvent.status(try await document())
        } catch {
            event = ServerSentEvent.heartbeat
        }
        for client in clients { client.deliver(event) }
    }

    /// Ends all connections and takes nobody in any more.
    func end() {
        state.withLock { $0.hasEnded = true }
        for client in clients { client.end() }
    }

    private var clients: [EventClient] { state.withLock { $0.members.compactMap(\.client) } }
}

/// Server-sent events as they are on the wire (HTML Living Standard, section 9.2).
enum ServerSentEvent {
    /// The first words of a stream: how long a client waits before it comes again.
    static let opening = ByteBuffer(string: "retry: 2000\n\n")
    /// Says nothing.
    static let heartbeat = ByteBuffer(string: ": still here\n\n")

    /// An event `status` with a document in one line.
    static func status(_ document: Data) -> ByteBuffer {
        var buffer = ByteBuffer(string: "event: status\ndata: ")
        buffer.writeBytes(document)
        buffer.writeString("\n\n")
        return buffer
    }
}
