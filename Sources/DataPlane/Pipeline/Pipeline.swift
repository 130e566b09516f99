// SPDX-License-Identifier: Apache-2.0
internal import CXDP

/// Turns bytes into verdicts, a batch at a time: parse, look up, rewrite.
///
/// One worker owns one pipeline, and with it the state of the flows that reach that worker. Each
/// pass asks for the memory that the next one reads, which at 100 000 flows is worth more than
/// anything else here. Nothing is allocated, no clock is read and no system call is made, so the
/// same code runs under `replay`, `trace` and the tests.
public struct Pipeline: ~Copyable {
    /// Which worker's it is.
    let worker: Int
    let memory: FrameMemory
    let counters: CounterPage
    var connections: ConnectionTable
    var ports: SNATPorts
    var fragments = FragmentTable()
    /// Sources that begin connections, and those of ICMP errors that say nothing of ours.
    var sources = SourceLimiter(capacity: 16_384)
    var guessers = SourceLimiter(capacity: 1024)
    var waiting = WaitingFrames()
    /// Bounds on echo replies, and on errors and RSTs.
    var echoBucket = TokenBucket()
    var errorBucket = TokenBucket()

    /// Entries whose handshake is not complete.
    var openingCount = 0
    /// Identification of the next outer header that needs one.
    var identification: UInt16 = 0
    var sweep = Sweep()
    /// Generation and time of the latest look at the waiting frames.
    var reviewed: (generation: UInt64, tick: Tick) = (0, Tick(milliseconds: 0))

    /// A pipeline without connections.
    ///
    /// - Parameters:
    ///   - worker: Its number among the workers.
    ///   - memory: Where the frames of its batches lie.
    ///   - tables: Zeroed memory of ``PipelineCapacity/byteCount`` bytes, aligned to 64, that
    ///     outlives it.
    ///   - capacity: Sizes of the tables.
    ///   - counters: The page that it alone writes.
    ///   - hashKey: Whose identity is noted beside the connections.
    public init(
        worker: Int, memory: FrameMemory, tables: UnsafeMutableRawBufferPointer,
        capacity: PipelineCapacity, counters: CounterPage, hashKey: HashKey
    ) {
        self.worker = worker
        self.memory = memory
        self.counters = counters
        let connectionBytes = capacity.connectionByteCount
        connections = unsafe ConnectionTable(
            in: UnsafeMutableRawBufferPointer(rebasing: tables[..<connectionBytes]),
            capacity: capacity.connections, hashKeyIdentity: hashKey.identity)
        ports = unsafe SNATPorts(
            in: UnsafeMutableRawBufferPointer(rebasing: tables[connectionBytes...]),
            capacity: capacity.snatPorts)
    }

    /// Entries of the connection table in use.
    public var connectionCount: Int { connections.count }

    /// Frames that wait for a next hop: chunks the pipeline holds between batches.
    public var waitingCount: Int { waiting.count }

    /// Gives every frame of the batch a verdict, and writes the headers of those to be sent.
    public mutating func process(
        _ batch: inout Batch, with snapshot: borrowing ForwardingSnapshot, at tick: Tick
    ) {
        read(&batch, snapshot)
        lookUp(&batch, snapshot)
        forward(&batch, snapshot, tick)
    }

    /// How many frames ahead memory of frames is asked for.
    private static let lookahead = 4

    // Each pass is a function of its own, so that the compiler has all of it in view at once.

    /// First pass: which flows they are of.
    ///
    /// Asks for the buckets of their connections.
    @inline(never)
    private mutating func read(_ batch: inout Batch, _ snapshot: borrowing ForwardingSnapshot) {
        let count = batch.count
        for index in 0..<min(count, Self.lookahead) {
            memory.prefetch(batch.address(at: index))
        }
        for index in 0..<count {
            // Not all of them at once: frames lie so that few of them fit into the first cache.
            let ahead = index &+ Self.lookahead
            if ahead < count { memory.prefetch(batch.address(at: ahead)) }
            read(&batch, index, snapshot)
        }
    }

    /// Second pass: which entries they may have, and whose packets they are if none.
    ///
    /// Asks for those, or for what new ones need.
    @inline(never)
    private mutating func lookUp(_ batch: inout Batch, _ snapshot: borrowing ForwardingSnapshot) {
        let buckets = connections.buckets
        for index in 0..<batch.count where batch[index].direction == .unknown {
            let candidate = buckets.candidate(batch[index].hash)
            batch[index].candidate = candidate
            if candidate != 0 {
                connections.prefetchEntry(candidate)
            } else {
                prepareNew(&batch, index, snapshot)
            }
        }
    }

    /// Third pass: where they go.
    @inline(never)
    private mutating func forward(
        _ batch: inout Batch, _ snapshot: borrowing ForwardingSnapshot, _ tick: Tick
    ) {
        var tracked: UInt64 = 0
        let count = batch.count
        for index in 0..<count {
            let ahead = index &+ Self.lookahead
            if ahead < count { memory.prefetchForWriting(batch.address(at: ahead)) }
            if batch[index].direction == .unknown {
                if carry(&batch, index, snapshot, tick) {
                    tracked &+= 1
                    continue
                }
            } else if batch[index].direction == .settled {
                continue
            }
            decide(&batch, index, snapshot, tick)
        }
        counters.add(tracked, to: .lookupHits)
    }

    @inline(__always)
    private mutating func read(
        _ batch: inout Batch, _ index: Int, _ snapshot: borrowing ForwardingSnapshot
    ) {
        guard
            let frame = memory.frame(at: batch.address(at: index), length: batch.length(at: index))
        else { return settle(&batch, index, for: .malformed) }
        if FlowParser.parsePlain(frame, with: snapshot, into: &batch[index])
            || parse(frame, &batch, index, snapshot)
        {
            connections.prefetchBucket(batch[index].hash)
        }
    }

    /// Notes what any frame is; `false` when it is dropped, or to be handled on its own.
    @inline(never)
    private mutating func parse(
        _ frame: Frame, _ batch: inout Batch, _ index: Int,
        _ snapshot: borrowing ForwardingSnapshot
    ) -> Bool {
        batch[index].isRead()
        do throws(DropReason) {
            let parsed = try FlowParser.parse(frame, on: snapshot.link)
            batch[index].flow = parsed.flow
            batch[index].layout = parsed.layout
            guard parsed.layout.kind == .whole else {
                batch[index].direction = .special
                return false
            }
            batch[index].hash = snapshot.flowHash.hash(parsed.flow)
            return true
        } catch {
            settle(&batch, index, for: error)
            return false
        }
    }

    /// A packet that is of no tracked connection: asks for what one needs that begins.
    @inline(never)
    private mutating func prepareNew(
        _ batch: inout Batch, _ index: Int, _ snapshot: borrowing ForwardingSnapshot
    ) {
        guard attribute(&batch, index, snapshot), batch[index].direction == .fromClient else {
            return
        }
        connections.prefetchFree()
        guard let service = snapshot.service(batch[index].service) else { return }
        switch service.mode {
        case .dsr: service.maglev.prefetch(for: batch[index].hash.slotWord)
        case .snat: prefetchReply(to: batch[index].flow, batch[index].hash, service, snapshot)
        }
    }

    /// Notes whether a client or a backend sent a whole packet; `false` when neither did, or when
    /// another worker is to see it.
    private mutating func attribute(
        _ batch: inout Batch, _ index: Int, _ snapshot: borrowing ForwardingSnapshot
    ) -> Bool {
        let flow = batch[index].flow
        guard FlowParser.canBegin(flow) else {
            settle(&batch, index, for: .badSource)
            return false
        }
        if let service = snapshot.serviceTable.service(for: flow) {
            batch[index].service = service
            batch[index].direction = .fromClient
            return true
        }
        guard let address = snapshot.snat.find(flow.destination),
            let port = address.index(of: flow.destinationPort)
        else {
            settle(&batch, index, for: .noService)
            return false
        }
        let owner = address.owner(ofIndex: port)
        guard owner == worker else {
            batch[index].direction = .settled
            batch.handOff(index, to: owner)
            return false
        }
        batch[index].direction = .fromBackend
        return true
    }

    /// A packet about which something is to be decided.
    @inline(never)
    private mutating func decide(
        _ batch: inout Batch, _ index: Int, _ snapshot: borrowing ForwardingSnapshot, _ tick: Tick
    ) {
        if batch[index].direction == .unknown, !attribute(&batch, index, snapshot) { return }
        do throws(DropReason) {
            switch batch[index].direction {
            case .fromClient: try forwardToBackend(&batch, index, snapshot, tick)
            case .fromBackend: try forwardToClient(&batch, index, snapshot, tick)
            case .special: try handleSpecial(&batch, index, snapshot, tick)
            case .unknown, .settled: break
            }
        } catch {
            refuse(&batch, index, for: error, snapshot, tick)
        }
    }

    /// Drops a frame before the passes that follow see it.
    private mutating func settle(_ batch: inout Batch, _ index: Int, for reason: DropReason) {
        batch[index].isRead()
        batch[index].direction = .settled
        drop(&batch, index, for: reason)
    }

    /// Drops a frame, or puts in its place what its sender is to be told.
    @inline(__always)
    private mutating func refuse(
        _ batch: inout Batch, _ index: Int, for reason: DropReason,
        _ snapshot: borrowing ForwardingSnapshot, _ tick: Tick
    ) {
        if reason.mayBeAnswered, answer(&batch, index, reason, snapshot, tick) {
            counters.add(reason)
        } else {
            drop(&batch, index, for: reason)
        }
    }

    @inline(__always)
    func drop(_ batch: inout Batch, _ index: Int, for reason: DropReason) {
        batch.drop(index, for: reason)
        counters.add(reason)
    }
}

/// Sizes of a pipeline's tables, fixed at the start.
public struct PipelineCapacity: Hashable, Sendable {
    /// Entries of the connection table.
    public var connections: Int
    /// Backends that may have SNAT ports at once.
    public var snatBackends: Int
    /// SNAT addresses.
    public var snatAddresses: Int
    /// Ports of a SNAT address that a worker owns, at most.
    public var snatPortsPerAddress: Int

    /// Sizes of their parts.
    public init(
        connections: Int, snatBackends: Int, snatAddresses: Int, snatPortsPerAddress: Int
    ) {
        self.connections = connections
        self.snatBackends = snatBackends
        self.snatAddresses = snatAddresses
        self.snatPortsPerAddress = snatPortsPerAddress
    }

    /// Bytes of memory that the tables take.
    public var byteCount: Int { connectionByteCount + snatPorts.byteCount }

    var connectionByteCount: Int {
        (ConnectionTable.byteCount(capacity: connections) + 63) & ~63
    }

    var snatPorts: SNATPorts.Capacity {
        SNATPorts.Capacity(
            portSpaces: snatBackends, addresses: snatAddresses,
            portsPerAddress: snatPortsPerAddress)
    }
}
