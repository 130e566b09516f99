// SPDX-License-Identifier: Apache-2.0
internal import CXDP

/// Where the sweep of the connection table stands.
struct Sweep: BitwiseCopyable {
    /// Milliseconds in which every entry is looked at once.
    static let period: UInt64 = 4000
    /// Most entries that one call looks at, so that no round of the worker takes long.
    static let stride: UInt64 = 1024

    private var cursor: UInt32 = 0
    private var latest = Tick(milliseconds: 0)
    /// Entries owed, times the period.
    private var debt: UInt64 = 0

    /// The next entry of those below `end`, around and around; 0 when there is none.
    @inline(__always)
    mutating func next(below end: UInt32) -> UInt32 {
        guard end > 1 else { return 0 }
        cursor = cursor &+ 1 < end ? max(cursor &+ 1, 1) : 1
        return cursor
    }

    /// Whether entries are owed.
    var isBehind: Bool { debt >= Self.period }

    /// How many entries out of `count` are due.
    @inline(__always)
    mutating func due(at tick: Tick, outOf count: Int) -> Int {
        debt &+= UInt64(tick.elapsed(since: latest)) &* UInt64(count)
        latest = tick
        let due = min(debt / Self.period, Self.stride)
        debt = min(debt &- due &* Self.period, UInt64(count) &* Self.period)
        return Int(due)
    }
}

/// What is done between batches.
extension Pipeline {
    /// Milliseconds between two looks at waiting frames when nothing was published.
    private static let reviewInterval: UInt32 = 100

    /// Ends idle connections, a few each call, and sends or gives up waiting frames.
    ///
    /// To be called once a round, also without traffic, with the batch that was just processed:
    /// frames that leave are added to its lists.
    public mutating func maintain(
        _ batch: inout Batch, with snapshot: borrowing ForwardingSnapshot, at tick: Tick
    ) {
        expire(snapshot, tick)
        guard waiting.count > 0 else { return }
        let isDue =
            reviewed.generation != snapshot.generation
            || tick.elapsed(since: reviewed.tick) >= Self.reviewInterval
        if isDue { review(&batch, snapshot, tick) }
    }

    /// Whether the sweep owes entries a look: after a jump of the clock, more than one call's worth.
    public var isSweepBehind: Bool { sweep.isBehind }

    private mutating func expire(_ snapshot: borrowing ForwardingSnapshot, _ tick: Tick) {
        let end = connections.highWaterMark
        for _ in 0..<sweep.due(at: tick, outOf: Int(end) - 1) {
            let index = sweep.next(below: end)
            guard index != 0, connections[index].state != .free else { continue }
            guard let service = snapshot.service(connections[index].service),
                snapshot.backend(connections[index].backend).admits != .nothing
            else {
                self.end(index, for: .evictionsFlush, snapshot)
                continue
            }
            let idle = tick.elapsed(since: Tick(milliseconds: connections[index].lastSeen))
            if idle > connections[index].state.timeout(service.timeouts) {
                let isOver = connections[index].state == .closed
                self.end(index, for: isOver ? .evictionsClosed : .evictionsIdle, snapshot)
            }
        }
    }

    private mutating func review(
        _ batch: inout Batch, _ snapshot: borrowing ForwardingSnapshot, _ tick: Tick
    ) {
        reviewed = (snapshot.generation, tick)
        waiting.review { descriptor, address, since in
            guard batch.roomForEarlierFrames > 0 else {
                reviewed.generation = 0
                return .keep
            }
            if case .resolved(let mac) = snapshot.nextHops.neighbour(address),
                let frame = memory.frame(at: descriptor.addr, length: descriptor.len),
                let ethernet = EthernetHeader(in: frame)
            {
                ethernet.destination = mac
                batch.append(descriptor)
                counters.add(1, to: .waitingSent)
                return .send
            }
            guard tick.elapsed(since: since) >= WaitingFrames.patience else { return .keep }
            batch.discard(descriptor.addr)
            counters.add(1, to: .waitingDropped)
            counters.add(DropReason.noNeighbour)
            counters.note(DropExample(nextHop: address, reason: .noNeighbour, tick: tick))
            return .drop
        }
    }

    /// Last step of the third pass: the Ethernet addresses, or the queue of the next hop.
    @inline(__always)
    mutating func deliver(
        _ batch: inout Batch, _ index: Int, to hop: NextHop,
        _ snapshot: borrowing ForwardingSnapshot, _ tick: Tick
    ) throws(DropReason) {
        guard
            let frame = memory.frame(at: batch.address(at: index), length: batch.length(at: index)),
            let ethernet = EthernetHeader(in: frame)
        else { throw .malformed }
        ethernet.source = snapshot.link.mac
        switch hop {
        case .resolved(let mac):
            ethernet.destination = mac
            batch.transmit(index)
        case .unresolved(let address):
            try wait(&batch, index, for: address, tick)
        case .noRoute:
            throw .noNeighbour
        }
    }

    private mutating func wait(
        _ batch: inout Batch, _ index: Int, for address: IPAddress, _ tick: Tick
    ) throws(DropReason) {
        switch waiting.keep(batch.descriptor(at: index), for: address, at: tick) {
        case .noRoom: throw .noNeighbour
        case .keptAsking: batch.requestResolution(of: address)
        case .kept: break
        }
        counters.add(1, to: .waiting)
        batch[index].verdict = .wait
    }
}
