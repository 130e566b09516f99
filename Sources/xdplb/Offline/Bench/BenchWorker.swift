// SPDX-License-Identifier: Apache-2.0
internal import CAllocationCount
internal import CXDP
internal import DataPlane
internal import Glibc
internal import Workers
internal import XSKRing

/// One worker of `bench`: the pipeline, its tables, and frames in plain memory.
///
/// Frames are written before the clock starts, and only the pipeline's call for a batch is timed.
final class BenchWorker {
    /// What was measured.
    struct Result: Sendable {
        var cycles = CycleHistogram()
        var packets = 0
        var drops = 0
        var allocations: UInt64 = 0
        var seconds = 0.0
        var tableBytes = 0
    }

    /// Chunks that are written one after the other and then processed.
    private static let chunkCount = 4096
    private static let chunkSize = 2048
    /// Where the kernel puts a frame in its chunk.
    private static let headroom = 256

    private let workload: BenchWorkload
    private let snapshot: ForwardingSnapshot
    private let hashKey: HashKey
    private let capacity: PipelineCapacity
    private let frameRegion: MemoryRegion
    private let tableRegion: MemoryRegion
    private let counterRegion: MemoryRegion
    private let memory: FrameMemory
    private let frames: BenchFrames
    private let openingFrames: BenchFrames
    private var pipeline: Pipeline
    private var batch = Batch()
    private var queue: MemoryQueue
    private var tick = Tick(milliseconds: 1 << 20)
    private var seed: UInt64 = 0
    private var capture: BenchCapture
    private var result = Result()

    /// A worker with empty tables.
    ///
    /// - Throws: When the kernel gives no memory.
    init(_ workload: BenchWorkload) throws(XSKError) {
        func region(_ name: String, _ byteCount: Int) throws(XSKError) -> MemoryRegion {
            try MemoryRegion(
                name: name, byteCount: byteCount, node: nil, hugePages: .automatic, touched: true)
        }
        guard let key = HashKey(bytes: (1...16).map { UInt8($0) }) else {
            preconditionFailure("sixteen bytes")
        }
        self.workload = workload
        hashKey = key
        let plan = workload.plan(key: key)
        snapshot = ForwardingSnapshot(plan)
        capacity = PipelineCapacity(
            connections: BenchWorkload.connectionCapacity,
            snatBackends: BenchWorkload.backendCount, snatAddresses: 1,
            snatPortsPerAddress: plan.snatAddresses.first?.ports[0].count ?? 1)
        frameRegion = try region("xdplb-bench-frames", Self.chunkCount * Self.chunkSize)
        tableRegion = try region("xdplb-bench-tables", capacity.byteCount)
        counterRegion = try region("xdplb-bench-counters", CounterPage.byteCount)
        guard let base = unsafe frameRegion.bytes.baseAddress else {
            preconditionFailure("a region has memory")
        }
        memory = unsafe FrameMemory(
            base: base, byteCount: frameRegion.byteCount, chunkSize: Self.chunkSize)
        pipeline = unsafe Pipeline(
            worker: 0, memory: memory, tables: tableRegion.bytes, capacity: capacity,
            counters: CounterPage(in: counterRegion.bytes), hashKey: key)
        capture = try BenchCapture(workload.capture)
        queue = MemoryQueue(chunkCount: Self.chunkCount, chunkSize: Self.chunkSize)
        frames = BenchFrames(workload, opening: workload.isNewFlows)
        openingFrames = BenchFrames(workload, opening: true)
        result.tableBytes = capacity.byteCount
    }

    /// Measures until the time is over or the packets are done.
    ///
    /// - Parameter begins: Called once the tables are filled.
    /// - Returns: What was measured.
    func run(_ begins: () -> Void) -> Result {
        if !workload.isNewFlows { fill() }
        // What begins with the first round is not of every round.
        batch.begin(count: 0)
        capture.begin(batch, in: memory)
        begins()
        let start = Self.seconds()
        while !isDone(since: start) {
            workload.isNewFlows ? measureNewFlows(start) : measureTracked()
        }
        result.seconds = Self.seconds() - start
        return result
    }

    private func isDone(since start: Double) -> Bool {
        if let packets = workload.packets { return result.packets >= packets }
        return Self.seconds() - start >= workload.seconds
    }

    /// Lets every flow begin: its first packet, the backend's answer as far as that comes by here,
    /// and a packet of the kind that is measured.
    private func fill() {
        for first in stride(from: 0, to: workload.flows, by: workload.batch) {
            let count = min(workload.batch, workload.flows - first)
            for index in 0..<count { write(openingFrames, flow: first + index, chunk: index) }
            take(count, firstChunk: 0)
            pipeline.process(&batch, with: snapshot, at: tick)
            if workload.mode == .snat { answer() }
            for index in 0..<count { write(frames, flow: first + index, chunk: index) }
            take(count, firstChunk: 0)
            pipeline.process(&batch, with: snapshot, at: tick)
        }
    }

    /// Sends what was sent to backends back as their answers.
    private func answer() {
        let sent = unsafe Array(batch.transmits)
        for (index, descriptor) in sent.enumerated() {
            if let bytes = unsafe memory.chunkBytes(from: descriptor.addr) {
                unsafe frames.turnAround(bytes)
            }
            unsafe batch.receiveBuffer[index] = descriptor
        }
        batch.begin(count: sent.count)
        pipeline.process(&batch, with: snapshot, at: tick)
    }

    /// All chunks once, each with a flow drawn at random.
    private func measureTracked() {
        if workload.includesRings { return measureRings() }
        for chunk in 0..<Self.chunkCount { write(frames, flow: drawFlow(), chunk: chunk) }
        processChunks(Self.chunkCount)
    }

    private func drawFlow() -> Int {
        seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Int(((seed >> 33) &* UInt64(workload.flows)) >> 31)
    }

    /// All chunks once around the rings, as a worker moves them.
    private func measureRings() {
        let count = min(Self.chunkCount, queue.chunks.fill)
        let length = UInt32(frames.length)
        for _ in 0..<count {
            let flow = drawFlow()
            _ = queue.deliver(length: length, headroom: UInt64(Self.headroom)) { address in
                guard let bytes = unsafe memory.chunkBytes(from: address) else { return }
                unsafe frames.write(flow: flow, to: bytes)
            }
        }
        let before = callocation_count()
        tick = tick.advanced(by: 1)
        var left = count
        while left > 0 {
            let start = xdplb_cycles()
            let received = unsafe queue.receive(
                into: UnsafeMutableBufferPointer(
                    rebasing: batch.receiveBuffer[..<workload.batch]))
            batch.begin(count: received)
            capture.begin(batch, in: memory)
            pipeline.process(&batch, with: snapshot, at: tick)
            pipeline.maintain(&batch, with: snapshot, at: tick)
            let sent = unsafe queue.transmit(batch.transmits)
            capture.end(batch, in: memory, sent: sent)
            unsafe queue.recycle(batch.discards)
            queue.reclaim()
            queue.refill()
            let end = xdplb_cycles()
            if received == workload.batch { result.cycles.add(end &- start) }
            result.packets &+= received
            result.drops &+= received &- sent
            left &-= received
            _ = queue.send()
        }
        result.allocations &+= callocation_count() &- before
        capture.drain()
        queue.reclaim()
        queue.refill()
    }

    /// Every flow once, into tables that are empty at first.
    private func measureNewFlows(_ start: Double) {
        var first = 0
        while first < workload.flows, !isDone(since: start) {
            let count = min(Self.chunkCount, workload.flows - first)
            for chunk in 0..<count { write(frames, flow: first + chunk, chunk: chunk) }
            processChunks(count)
            first += count
        }
        unsafe tableRegion.bytes.initializeMemory(as: UInt8.self, repeating: 0)
        pipeline = unsafe Pipeline(
            worker: 0, memory: memory, tables: tableRegion.bytes, capacity: capacity,
            counters: CounterPage(in: counterRegion.bytes), hashKey: hashKey)
    }

    private func processChunks(_ count: Int) {
        let before = callocation_count()
        tick = tick.advanced(by: 1)
        var first = 0
        while first < count {
            let size = min(workload.batch, count - first)
            take(size, firstChunk: first)
            first += size
            let start = xdplb_cycles()
            capture.begin(batch, in: memory)
            pipeline.process(&batch, with: snapshot, at: tick)
            capture.end(batch, in: memory, sent: batch.transmits.count)
            let end = xdplb_cycles()
            // What is left over at the end would distort the figures.
            if size == workload.batch { result.cycles.add(end &- start) }
            result.packets &+= size
            unsafe result.drops &+= size &- batch.transmits.count
        }
        result.allocations &+= callocation_count() &- before
        capture.drain()
    }

    private func write(_ frames: BenchFrames, flow: Int, chunk: Int) {
        guard let bytes = unsafe memory.chunkBytes(from: Self.address(ofChunk: chunk)) else {
            preconditionFailure("a chunk has memory")
        }
        unsafe frames.write(flow: flow, to: bytes)
    }

    /// Makes a batch of chunks that were written.
    private func take(_ count: Int, firstChunk: Int) {
        let length = UInt32(frames.length)
        let descriptors = unsafe batch.receiveBuffer
        for index in 0..<count {
            unsafe descriptors[index] = xdp_desc(
                addr: Self.address(ofChunk: firstChunk + index), len: length, options: 0)
        }
        batch.begin(count: count)
    }

    private static func address(ofChunk chunk: Int) -> UInt64 {
        UInt64(chunk * chunkSize + headroom)
    }

    /// The time on a clock that is not set.
    static func seconds() -> Double {
        var now = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC_RAW, &now)
        return Double(now.tv_sec) + Double(now.tv_nsec) / 1e9
    }
}
