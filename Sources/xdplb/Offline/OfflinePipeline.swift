// SPDX-License-Identifier: Apache-2.0
internal import CXDP
internal import ControlPlane
internal import DataPlane
internal import XSKRing

/// The production pipeline on memory, one frame at a time: no sockets, no clock, no privileges.
///
/// What `replay` and `trace` run. One worker; a frame is first shown to ``Steering``, as the
/// steering program would be.
final class OfflinePipeline {
    /// What became of a frame.
    struct Outcome {
        /// The verdict as `replay` and `trace` print it.
        enum Verdict {
            case transmit
            case drop(DropReason)
            case pass
            /// Kept until its next hop is resolved.
            case wait
        }

        var verdict: Verdict
        /// Frames that were sent because of it.
        var frames: [[UInt8]] = []
        /// Numbers of service and backend, as far as there were any.
        var service: UInt16?
        var backend: UInt16?
    }

    /// Frames of jumbo size with room in front.
    private static let chunkSize = 65_536
    private static let headroom = 256
    /// Longest frame that it takes.
    static let longestFrame = chunkSize - headroom

    /// What the pipeline counts.
    let counters: CounterPage

    private let frameRegion: MemoryRegion
    private let tableRegion: MemoryRegion
    private let counterRegion: MemoryRegion
    private let memory: FrameMemory
    private var pipeline: Pipeline
    private var batch = Batch()
    private var snapshot: SnapshotBox
    private var tick = Tick(milliseconds: 0)
    private var clock: UInt64?
    /// Frames that were sent, and those that the kernel would have got.
    private(set) var transmittedCount = 0
    private(set) var passedCount = 0

    /// A pipeline without connections.
    ///
    /// - Parameters:
    ///   - plan: What it decides by.
    ///   - connections: Entries of its connection table.
    ///   - hashKey: The key of the plan.
    /// - Throws: When the kernel gives no memory.
    init(_ plan: ForwardingPlan, connections: Int, hashKey: HashKey) throws(XSKError) {
        let most = plan.snatAddresses.flatMap(\.ports).reduce(0) { $0 + $1.count }
        let backends = plan.backends.count { $0.portSpace != nil }
        let capacity = PipelineCapacity(
            connections: connections, snatBackends: OfflineControl.snatBackends(for: backends),
            snatAddresses: max(plan.snatAddresses.count, 1), snatPortsPerAddress: max(most, 1))
        func region(_ name: String, _ byteCount: Int) throws(XSKError) -> MemoryRegion {
            try MemoryRegion(
                name: name, byteCount: byteCount, node: nil, hugePages: .never, touched: false)
        }
        frameRegion = try region("xdplb-replay-frames", Self.chunkSize * 2)
        tableRegion = try region("xdplb-replay-tables", capacity.byteCount)
        counterRegion = try region("xdplb-replay-counters", CounterPage.byteCount)
        guard let base = unsafe frameRegion.bytes.baseAddress else {
            preconditionFailure("a region has memory")
        }
        memory = unsafe FrameMemory(
            base: base, byteCount: Self.chunkSize * 2, chunkSize: Self.chunkSize)
        counters = unsafe CounterPage(in: counterRegion.bytes)
        pipeline = unsafe Pipeline(
            worker: 0, memory: memory, tables: tableRegion.bytes, capacity: capacity,
            counters: counters, hashKey: hashKey)
        snapshot = SnapshotBox(plan)
    }

    /// Connections that are tracked.
    var connectionCount: Int { pipeline.connectionCount }

    /// Connections of one mode that are tracked.
    func connectionCount(of mode: ForwardingMode) -> Int {
        let scan = ConnectionScan(ConnectionFilter(), .list(limit: .max))
        var cursor: UInt32 = 0
        while !pipeline.advance(scan, from: &cursor, snapshot.value, at: tick) {}
        scan.finish()
        return scan.results.filter { $0.mode == mode }.count
    }

    /// Takes over a copy of a connection.
    func adopt(_ record: ConnectionRecord) {
        pipeline.adopt(record, snapshot.value, at: tick)
    }

    /// Makes another plan current.
    func publish(_ plan: ForwardingPlan) { snapshot = SnapshotBox(plan) }

    /// Lets time pass until `nanoseconds`; never backwards.
    func advance(to nanoseconds: UInt64) {
        let milliseconds = nanoseconds / 1_000_000
        guard let before = clock else {
            // Far from 0, which would look like a time that was never set.
            clock = milliseconds
            tick = Tick(milliseconds: 1 << 20)
            return
        }
        guard milliseconds > before else { return }
        clock = milliseconds
        var left = milliseconds - before
        // An idle time of more than 24 days could not be told from one in the future.
        let most: UInt64 = 1 << 30
        while left > 0 {
            let step = min(left, most)
            tick = tick.advanced(by: UInt32(step))
            left -= step
            repeat { maintain() } while pipeline.isSweepBehind
        }
    }

    private func maintain() {
        batch.begin(count: 0)
        pipeline.maintain(&batch, with: snapshot.value, at: tick)
    }

    /// Gives a frame to steering and, if it is ours, to the pipeline.
    func process(_ frame: [UInt8]) -> Outcome {
        guard frame.count <= Self.longestFrame else { return Outcome(verdict: .drop(.malformed)) }
        let isOurs = unsafe frame.withUnsafeBytes { bytes in
            unsafe Steering.decide(bytes, with: snapshot.value) == .redirect
        }
        guard isOurs else {
            passedCount += 1
            return Outcome(verdict: .pass)
        }
        let address = UInt64(Self.headroom)
        unsafe memory.chunkBytes(from: address)?.copyBytes(from: frame)
        unsafe batch.receiveBuffer[0] = xdp_desc(
            addr: address, len: UInt32(frame.count), options: 0)
        batch.begin(count: 1)
        pipeline.process(&batch, with: snapshot.value, at: tick)
        var outcome = Outcome(verdict: verdict())
        (outcome.service, outcome.backend) = batch.decision(at: 0)
        transmittedCount += batch.transmits.count
        for index in 0..<batch.transmits.count {
            let descriptor = unsafe batch.transmits[index]
            guard let bytes = unsafe memory.chunkBytes(from: descriptor.addr) else { continue }
            unsafe outcome.frames.append([UInt8](bytes[..<Int(descriptor.len)]))
        }
        return outcome
    }

    private func verdict() -> Outcome.Verdict {
        switch batch.verdict(at: 0) {
        case .transmit: .transmit
        case .drop(let reason): .drop(reason)
        case .wait: .wait
        // One worker owns everything.
        case .undecided, .handOff: .drop(.noConnection)
        }
    }
}

/// Holds a snapshot, which cannot be copied.
private final class SnapshotBox {
    let value: ForwardingSnapshot
    init(_ plan: ForwardingPlan) { value = ForwardingSnapshot(plan) }
}
