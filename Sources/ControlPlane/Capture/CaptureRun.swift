// SPDX-License-Identifier: Apache-2.0
internal import DataPlane
internal import struct Foundation.Date

/// One capture from its start to its end: takes the workers' copies, and sends blocks of pcapng.
struct CaptureRun {
    /// What it is to know of the daemon around it.
    struct Surroundings: Sendable {
        var facts: DataPlaneFacts
        var version: String
        /// Names as they are now: services come and go while it runs.
        var view: @Sendable () async -> ControlView
        var isStopping: @Sendable () -> Bool
    }

    /// Where the blocks go; waits while the reader is slow, and throws when there is none any more.
    typealias Output = ([UInt8]) async throws -> Void

    /// Bytes after which blocks are sent on.
    private static let pieceByteCount = 256 << 10
    /// Records of a worker after which the others are looked at, and the time: most may be left out
    /// by a program, and then no piece is ever full.
    private static let recordsPerTurn = 256
    /// Between two looks at empty rings.
    private static let pause = Duration.milliseconds(5)
    /// Between two statistics, which also show that the reader is still there.
    private static let beat = Duration.seconds(1)

    private let source: any CaptureSource
    private let bounds: CaptureBounds
    private let surroundings: Surroundings
    private let snapLength: Int
    private var writer = PcapngWriter()
    private var words: CaptureWords
    private var statistics: PcapngWriter.Statistics
    private var frameCount = 0
    /// Worker whose ring is looked at first, another one each time: a busy one may fill a piece.
    private var firstWorker = 0
    /// What is to be added to the workers' clock for nanoseconds since 1970.
    private var offset: UInt64

    /// Why it ends.
    enum End: String {
        case count = "count"
        case time = "time"
        case ended = "ended"
        case stopping = "stopping"
        case readerGone = "reader_gone"
    }

    /// A run that has not begun.
    init(
        _ source: any CaptureSource, _ bounds: CaptureBounds, snapLength: Int,
        _ surroundings: Surroundings, _ view: ControlView
    ) {
        self.source = source
        self.bounds = bounds
        self.surroundings = surroundings
        self.snapLength = snapLength
        offset = source.clockOffset
        words = CaptureWords(view)
        let now = Self.now
        statistics = .init(start: now, end: now, received: 0, lost: 0, delivered: 0)
    }

    /// Captures until one of the bounds is reached, somebody ends it, or the reader is gone.
    mutating func run(in place: CapturePlace, _ output: Output) async {
        place.noteStart()
        source.start()
        var end = End.readerGone
        do {
            begin(place)
            end = try await copy(place, output)
            await source.stop()
            try await flush(output)
            while end != .count, drain() { try await flush(output) }
            writeStatistics()
            try await flush(output)
        } catch {
            end = .readerGone
            await source.stop()
        }
        statistics.lost = source.rings.reduce(0) { $0 + $1.lostCount }
        place.noteEnd(statistics, frames: frameCount, because: end.rawValue)
    }

    private mutating func begin(_ place: CapturePlace) {
        let facts = surroundings.facts
        writer.writeSection(
            application: "xdplb \(surroundings.version)",
            system: "Linux \(HostSystem.kernelRelease)", comment: "xdplb capture: \(place.what)")
        writer.writeInterface(
            name: facts.interface,
            description: "\(facts.driver), \(facts.attachMode), \(facts.bindMode)",
            snapLength: snapLength)
    }

    private mutating func copy(_ place: CapturePlace, _ output: Output) async throws -> End {
        let clock = ContinuousClock()
        let deadline = clock.now + .seconds(bounds.seconds)
        var nextBeat = clock.now
        while true {
            let found = drain()
            if let count = bounds.count, frameCount >= count { return .count }
            if surroundings.isStopping() { return .stopping }
            if place.isEnded { return .ended }
            let now = clock.now
            if now >= deadline { return .time }
            if now >= nextBeat {
                nextBeat = now + Self.beat
                words = CaptureWords(await surroundings.view())
                offset = source.clockOffset
                writeStatistics()
            }
            try await flush(output)
            if found {
                // Nothing may have been sent, so that nothing has waited: others use the thread too.
                await Task.yield()
            } else {
                // Not one that throws: a daemon that stops wants the last frames as well.
                try? await clock.sleep(until: min(clock.now + Self.pause, deadline))
            }
        }
    }

    /// Makes blocks of what is in the rings, up to a piece and a turn of each; whether there was
    /// anything.
    private mutating func drain() -> Bool {
        var found = false
        let rings = source.rings
        defer { firstWorker = (firstWorker + 1) % max(rings.count, 1) }
        for step in rings.indices {
            let worker = (firstWorker + step) % rings.count
            for _ in 0..<Self.recordsPerTurn {
                guard writer.bytes.count < Self.pieceByteCount, let pair = rings[worker].next()
                else { break }
                found = true
                take(pair, worker)
                if let count = bounds.count, frameCount >= count { return true }
            }
        }
        return found
    }

    private mutating func take(_ pair: CapturedPair, _ worker: Int) {
        let record = pair.record
        if let program = bounds.program,
            !program.accepts(pair.received, length: record.receivedLength)
        {
            return
        }
        frameCount += 1
        let place = surroundings.facts.workers[worker]
        let comment = words.comment(on: pair, worker: worker)
        var packet = PcapngWriter.Packet(
            nanoseconds: record.receivedAt &+ offset, originalLength: record.receivedLength,
            direction: .inward, number: UInt64(worker) << 48 | record.number,
            // Which queue a frame came to is only known where it came to.
            queue: record.isHandedOver ? nil : UInt32(place.queue),
            xdpVerdict: Self.redirect, comment: comment)
        if !pair.received.isEmpty {
            writer.write(pair.received, packet)
            statistics.delivered += 1
        }
        guard !pair.sent.isEmpty else { return }
        packet.nanoseconds = record.sentAt &+ offset
        packet.originalLength = record.sentLength
        packet.direction = .outward
        packet.queue = UInt32(place.queue)
        packet.xdpVerdict = nil
        writer.write(pair.sent, packet)
        statistics.delivered += 1
    }

    /// XDP_REDIRECT (linux/bpf.h): how every frame that is received came here.
    private static let redirect: UInt64 = 4

    private mutating func writeStatistics() {
        statistics.end = Self.now
        statistics.lost = source.rings.reduce(0) { $0 + $1.lostCount }
        statistics.received = UInt64(frameCount) + statistics.lost
        writer.write(statistics)
    }

    /// Nanoseconds since 1970.
    private static var now: UInt64 { UInt64(Date().timeIntervalSince1970 * 1e9) }

    private mutating func flush(_ output: Output) async throws {
        let bytes = writer.take()
        if !bytes.isEmpty { try await output(bytes) }
    }
}
