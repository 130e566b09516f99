// SPDX-License-Identifier: Apache-2.0
internal import CXDP
public import DataPlane

/// A pipeline over plain memory: frames in, verdicts and frames out, and the books kept.
public final class PipelineHarness {
    /// What became of a frame.
    public struct Outcome: Equatable {
        /// Its verdict.
        public var verdict: Verdict
        /// The frame that was sent for it; empty unless it was.
        public var frame: [UInt8]
    }

    private static let chunkSize = 4096
    private static let headroom = 256

    /// What the pipeline decides by; set with ``publish(_:)``.
    public private(set) var plan: ForwardingPlan
    /// The counters.
    public let counters: CounterPage
    /// The time, in milliseconds.
    public var now: UInt32 = 1_000_000

    private let chunkCount: Int
    private let memory: UnsafeMutableRawPointer
    private let tables: UnsafeMutableRawPointer
    private let page: UnsafeMutableRawPointer
    private var snapshot: SnapshotBox
    private var pipeline: Pipeline
    private var batch = Batch()
    private var freeChunks: [UInt64]
    private var captures: [UnsafeMutableRawPointer] = []
    private var tap: CaptureTap?
    /// Frames of a batch that the TX ring takes.
    public var transmitRoom = Int.max
    /// Whether the rings to other workers are full.
    public var handOffsAreLost = false

    /// A pipeline of one worker.
    public init(
        _ plan: ForwardingPlan, worker: Int = 0, connections: Int = 4096,
        portsPerAddress: Int = 65536, chunks chunkCount: Int = 2048
    ) {
        self.chunkCount = chunkCount
        let capacity = PipelineCapacity(
            connections: connections, snatBackends: 8, snatAddresses: 4,
            snatPortsPerAddress: portsPerAddress)
        func zeroed(_ byteCount: Int) -> UnsafeMutableRawPointer {
            let pointer = UnsafeMutableRawPointer.allocate(byteCount: byteCount, alignment: 4096)
            unsafe pointer.initializeMemory(as: UInt8.self, repeating: 0, count: byteCount)
            return unsafe pointer
        }
        unsafe memory = zeroed(chunkCount * Self.chunkSize)
        unsafe tables = zeroed(capacity.byteCount)
        unsafe page = zeroed(CounterPage.byteCount)
        counters = unsafe CounterPage(
            in: UnsafeMutableRawBufferPointer(start: page, count: CounterPage.byteCount))
        pipeline = unsafe Pipeline(
            worker: worker,
            memory: FrameMemory(
                base: memory, byteCount: chunkCount * Self.chunkSize,
                chunkSize: Self.chunkSize),
            tables: UnsafeMutableRawBufferPointer(start: tables, count: capacity.byteCount),
            capacity: capacity, counters: counters, hashKey: plan.hashKey)
        snapshot = SnapshotBox(plan)
        self.plan = plan
        freeChunks = (0..<chunkCount).map { UInt64($0 * Self.chunkSize) }
    }

    deinit {
        unsafe memory.deallocate()
        unsafe tables.deallocate()
        unsafe page.deallocate()
        for memory in unsafe captures { unsafe memory.deallocate() }
    }

    /// Copies frames out from now on, as a worker does.
    public func capture(_ settings: CaptureSettings) -> CaptureRing {
        let byteCount = CaptureRing.byteCount(settings)
        let memory = UnsafeMutableRawPointer.allocate(byteCount: byteCount, alignment: 64)
        unsafe memory.initializeMemory(as: UInt8.self, repeating: 0, count: byteCount)
        unsafe captures.append(memory)
        let ring = unsafe CaptureRing(preparing: memory, settings)
        tap = CaptureTap(ring)
        return ring
    }

    /// Makes another plan current.
    public func publish(_ change: (inout ForwardingPlan) -> Void) {
        change(&plan)
        plan.generation += 1
        snapshot = SnapshotBox(plan)
    }

    /// Entries of the connection table in use.
    public var connectionCount: Int { pipeline.connectionCount }

    /// Chunks that somebody else than the harness has: frames that wait.
    public var chunksHeld: Int { chunkCount - freeChunks.count }

    /// Frames that wait for a next hop.
    public var waitingCount: Int { pipeline.waitingCount }

    /// Processes frames, in batches of up to 64, and says what became of each.
    ///
    /// - Parameters:
    ///   - frames: The frames.
    ///   - isHandedOver: Whether they come from another worker.
    /// - Returns: An outcome for each.
    public func send(_ frames: [[UInt8]], isHandedOver: Bool = false) -> [Outcome] {
        var outcomes: [Outcome] = []
        for start in stride(from: 0, to: frames.count, by: Batch.capacity) {
            let end = min(start + Batch.capacity, frames.count)
            outcomes += process(Array(frames[start..<end]), isHandedOver: isHandedOver)
        }
        return outcomes
    }

    /// Processes one frame.
    public func send(_ frame: [UInt8], isHandedOver: Bool = false) -> Outcome {
        send([frame], isHandedOver: isHandedOver)[0]
    }

    private func process(_ frames: [[UInt8]], isHandedOver: Bool) -> [Outcome] {
        for (index, frame) in frames.enumerated() {
            let address = freeChunks.removeLast() + UInt64(Self.headroom)
            unsafe frame.withUnsafeBytes { bytes in
                if let start = bytes.baseAddress {
                    unsafe (memory + Int(address)).copyMemory(from: start, byteCount: bytes.count)
                }
            }
            unsafe batch.receiveBuffer[index] = xdp_desc(
                addr: address, len: UInt32(frame.count), options: 0)
        }
        batch.begin(count: frames.count, handedOver: isHandedOver ? frames.count : 0)
        let tick = Tick(milliseconds: now)
        tap?.keep(batch, in: frameMemory)
        pipeline.process(&batch, with: snapshot.value, at: tick)
        tap?.write(
            batch, in: frameMemory,
            CaptureTap.Round(
                sentCount: transmitRoom, lostHandOffs: handOffsAreLost ? .max : 0,
                receivedAt: UInt64(now) * 1_000_000, sentAt: UInt64(now) * 1_000_000 + 1000))
        // Frames leave in the order they came in.
        var sent = unsafe batch.transmits.makeIterator()
        let outcomes = frames.indices.map { index in
            let verdict = batch.verdict(at: index)
            if case .handOff = verdict { giveBack(batch.descriptor(at: index).addr) }
            let frame = unsafe verdict == .transmit ? sent.next() : nil
            return Outcome(verdict: verdict, frame: frame.map(bytes) ?? [])
        }
        carryOut()
        return outcomes
    }

    /// Lets the pipeline do what is done between batches; returns frames that were waiting.
    public func maintain(rounds: Int = 1) -> [[UInt8]] {
        var released: [[UInt8]] = []
        for _ in 0..<rounds {
            batch.begin(count: 0)
            pipeline.maintain(&batch, with: snapshot.value, at: Tick(milliseconds: now))
            released += unsafe batch.transmits.map(bytes)
            carryOut()
        }
        return released
    }

    /// Addresses the kernel was asked to resolve by the latest batch.
    public private(set) var asked: [IPAddress] = []

    private var frameMemory: FrameMemory {
        unsafe FrameMemory(
            base: memory, byteCount: chunkCount * Self.chunkSize, chunkSize: Self.chunkSize)
    }

    private func carryOut() {
        asked = unsafe Array(batch.resolveRequests)
        for index in 0..<batch.transmits.count { giveBack(unsafe batch.transmits[index].addr) }
        for index in 0..<batch.discards.count { giveBack(unsafe batch.discards[index]) }
    }

    private func giveBack(_ address: UInt64) {
        freeChunks.append(address & ~UInt64(Self.chunkSize - 1))
    }

    private func bytes(of descriptor: xdp_desc) -> [UInt8] {
        unsafe Array(
            UnsafeRawBufferPointer(
                start: memory + Int(descriptor.addr), count: Int(descriptor.len)))
    }

    /// The connections, by a walk as a command asks for it.
    public func scan(
        _ filter: ConnectionFilter = .init(),
        _ action: ConnectionScan.Action = .list(limit: 100_000)
    ) -> ConnectionScan {
        let scan = ConnectionScan(filter, action)
        var cursor: UInt32 = 0
        let tick = Tick(milliseconds: now)
        while !pipeline.advance(scan, from: &cursor, snapshot.value, at: tick) {}
        scan.finish()
        return scan
    }

    /// What steering does with a frame.
    public func steer(_ frame: [UInt8]) -> Steering {
        unsafe frame.withUnsafeBytes { unsafe Steering.decide($0, with: snapshot.value) }
    }

    /// Frames that were dropped in silence, or kept, as the counters have it.
    public var countedOutcomes: UInt64 {
        let drops = DropReason.allCases.reduce(0) { $0 + counters[$1] }
        return drops &+ counters[.waiting] &- counters[.refusals]
    }
}

/// Holds a snapshot, which cannot be copied.
private final class SnapshotBox {
    let value: ForwardingSnapshot
    init(_ plan: ForwardingPlan) { value = ForwardingSnapshot(plan) }
}
