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
    /// When the batch came that is being processed.
    var now = Tick(milliseconds: 0)
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
        now = tick
        read(&batch, snapshot)
        lookUp(&batch, snapshot)
        forward(&batch, snapshot, tick)
    }

    /// How many frames ahead memory of frames is asked for.
    static let lookahead = 4

    // Each pass is a function of its own, so that the compiler has all of it in view at once.

    /// First pass: which flows they are of.
    ///
    /// Asks for the buckets of their connections.
    private mutating func read(_ batch: inout Batch, _ snapshot: borrowing ForwardingSnapshot) {
        if snapshot.link.vlan == 0 {
            read(&batch, behind: UntaggedLink.self, snapshot)
        } else {
            read(&batch, behind: TaggedLink.self, snapshot)
        }
    }

    private mutating func read<Link: PlainLink>(
        _ batch: inout Batch, behind link: Link.Type, _ snapshot: borrowing ForwardingSnapshot
    ) {
        let count = batch.count
        for index in 0..<min(count, Self.lookahead) { memory.prefetch(batch.address(at: index)) }
        var index = 0
        while true {
            index = readPlain(PlainIPv4.self, batch, from: index, behind: link, snapshot)
            index = readPlain(PlainIPv6.self, batch, from: index, behind: link, snapshot)
            guard index < count else { return }
            parse(&batch, index, snapshot)
            index &+= 1
        }
    }

    /// Reads plain packets of one family, from one on, until one is none.
    ///
    /// Each family by itself, as in one loop neither would have the registers it needs.
    ///
    /// - Returns: The one that is none; the batch's count when all are.
    @inline(never)
    private mutating func readPlain<Family: PlainFamily, Link: PlainLink>(
        _ family: Family.Type, _ batch: borrowing Batch, from start: Int, behind link: Link.Type,
        _ snapshot: borrowing ForwardingSnapshot
    ) -> Int {
        let frames = batch.frames
        let memory = memory
        let buckets = connections.buckets
        let count = batch.count
        var index = start
        while index < count {
            // Not all of them at once: frames lie so that few of them fit into the first cache.
            let ahead = index &+ Self.lookahead
            if ahead < count { memory.prefetch(frames.address(at: ahead)) }
            guard
                let frame = memory.frame(
                    at: frames.address(at: index), length: frames.length(at: index)),
                Family.parse(frame, behind: link, with: snapshot, into: &frames[index])
            else { break }
            buckets.prefetch(frames[index].hash)
            index &+= 1
        }
        return index
    }

    /// Second pass: which entries they may have, and whose packets they are if none.
    ///
    /// Asks for those, or for what new ones need.
    @inline(never)
    private mutating func lookUp(_ batch: inout Batch, _ snapshot: borrowing ForwardingSnapshot) {
        let frames = batch.frames
        let buckets = connections.buckets
        let entries = connections.entries
        var newCount: UInt32 = 0
        for index in 0..<batch.count where frames[index].direction == .unknown {
            let candidate = buckets.candidate(frames[index].hash)
            if candidate != 0 {
                frames[index].candidate = candidate
                entries.prefetch(Int(candidate))
            } else if prepareNew(&batch, index, after: newCount, snapshot) {
                newCount &+= 1
            }
        }
    }

    /// Third pass: where they go.
    @inline(never)
    private mutating func forward(
        _ batch: inout Batch, _ snapshot: borrowing ForwardingSnapshot, _ tick: Tick
    ) {
        var index = 0
        while index < batch.count {
            let start = index
            if batch[index].candidate != 0 {
                index = carry(CarryingDSR.self, &batch, from: index, snapshot, tick)
                index = carry(CarryingSNATIPv4.self, &batch, from: index, snapshot, tick)
                index = carry(CarryingSNATIPv6.self, &batch, from: index, snapshot, tick)
            }
            if index == start {
                decide(&batch, index, snapshot, tick)
                index &+= 1
            }
        }
    }

    /// Notes what any frame is; drops what is nothing.
    @inline(never)
    private mutating func parse(
        _ batch: inout Batch, _ index: Int, _ snapshot: borrowing ForwardingSnapshot
    ) {
        batch[index].isRead()
        guard
            let frame = memory.frame(at: batch.address(at: index), length: batch.length(at: index))
        else {
            batch[index].flow = .zero
            batch[index].layout = FrameLayout()
            return settle(&batch, index, for: .malformed)
        }
        do throws(DropReason) {
            let parsed = try FlowParser.parse(frame, on: snapshot.link)
            batch[index].flow = parsed.flow
            batch[index].layout = parsed.layout
            guard parsed.layout.kind == .whole else {
                batch[index].direction = .special
                return
            }
            batch[index].hash = snapshot.flowHash.hash(parsed.flow)
            connections.prefetchBucket(batch[index].hash)
        } catch {
            // For people who look for it; nothing is decided by it.
            batch[index].flow = FlowParser.glimpse(frame, on: snapshot.link)
            batch[index].layout = FrameLayout()
            settle(&batch, index, for: error)
        }
    }

    /// A packet that is of no tracked connection: asks for what one needs that begins.
    ///
    /// - Parameters:
    ///   - batch: The batch.
    ///   - index: The packet.
    ///   - earlier: How many before it may begin connections.
    ///   - snapshot: Where they would go.
    /// - Returns: Whether it may begin one.
    @inline(never)
    private mutating func prepareNew(
        _ batch: inout Batch, _ index: Int, after earlier: UInt32,
        _ snapshot: borrowing ForwardingSnapshot
    ) -> Bool {
        guard attribute(&batch, index, snapshot), batch[index].direction == .fromClient else {
            return false
        }
        connections.prefetchFree(after: earlier)
        let service = unsafe snapshot.services.table.address(of: Int(batch[index].service))
        if unsafe service.pointee.mode == .dsr {
            unsafe service.pointee.maglev.prefetch(for: batch[index].hash.slotWord)
        } else {
            unsafe propose(for: &batch[index], service, snapshot)
        }
        return true
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
        if batch[index].direction == .unknown {
            if carryToClient(&batch, index, snapshot, tick) { return }
            guard attribute(&batch, index, snapshot) else { return }
        }
        if batch[index].direction == .fromClient, batch[index].candidate == 0,
            begin(&batch, index, snapshot, tick)
        {
            return
        }
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
            batch.answer(index, for: reason)
            batch.noteDrop(index, for: reason, in: counters, at: now)
        } else {
            drop(&batch, index, for: reason)
        }
    }

    @inline(__always)
    func drop(_ batch: inout Batch, _ index: Int, for reason: DropReason) {
        batch.drop(index, for: reason)
        counters.add(reason)
        batch.noteDrop(index, for: reason, in: counters, at: now)
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
