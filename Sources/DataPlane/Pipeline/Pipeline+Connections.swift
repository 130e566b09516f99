// SPDX-License-Identifier: Apache-2.0

/// How connections begin and end.
extension Pipeline {
    /// Half-open connections that `dsr` tracks, as a share of the table: 1 in 8.
    ///
    /// Within it a handshake survives a change of the Maglev table between SYN and ACK; above it,
    /// as in a SYN flood, a connection is tracked from its first ACK, and the flood leaves the
    /// table to those in use.
    var openingBudget: Int { connections.capacity / 8 }

    /// Candidates for eviction that are looked at when the table is full.
    private static let evictionSample: UInt32 = 32

    // MARK: Begin

    /// Tracks a new `dsr` flow if its packet is one to track.
    ///
    /// - Throws: `connection_table_full` when there is no entry and the configuration does not
    ///   let the flow go on without.
    @inline(__always)
    mutating func track(
        _ packet: PacketState, _ service: ServiceRecord, _ backendID: UInt16,
        _ backend: BackendRecord, _ snapshot: borrowing ForwardingSnapshot, _ tick: Tick
    ) throws(DropReason) {
        guard let state = initialState(of: packet),
            state != .opening || openingCount < openingBudget,
            isWithinBound(packet.flow.source, snapshot, tick)
        else { return }
        let entry = ConnectionEntry(
            key: packet.flow, service: service.id, backend: backendID,
            backendEpoch: backend.epoch, mode: .dsr, state: state, snatAddress: 0, snatPort: 0,
            tick: tick)
        if insert(entry, packet.hash, snapshot) == 0, !snapshot.forwardsStatelessly {
            throw .connectionTableFull
        }
    }

    /// The state of a flow that begins in mid-stream or with this packet; `nil` when it is not to
    /// be tracked: it ends with this packet, or its flags mean nothing (RFC 9293 §3.10.7).
    @inline(__always)
    func initialState(of packet: PacketState) -> ConnectionState? {
        if packet.flow.transportNumber == TransportProtocol.udp.rawValue { return .datagram }
        let segment = packet.layout.tcpFlags.intersection([.syn, .ack, .fin, .rst])
        if segment == .ack { return .established }
        return segment == .syn ? .opening : nil
    }

    /// Admits a new `snat` connection: an entry, and a port of its own.
    ///
    /// - Throws: `no_connection` for TCP that does not begin with a SYN, `snat_exhausted` when
    ///   every port towards the backend is in use, `connection_table_full`, `rate_limited` when
    ///   the client has begun too many.
    mutating func admit(
        _ packet: PacketState, _ service: ServiceRecord, _ backendID: UInt16,
        _ backend: BackendRecord, _ snapshot: borrowing ForwardingSnapshot, _ tick: Tick
    ) throws(DropReason) -> UInt32 {
        guard let state = initialState(of: packet), state != .established else {
            throw .noConnection
        }
        guard isWithinBound(packet.flow.source, snapshot, tick) else { throw .rateLimited }
        let isUDP = state == .datagram
        guard
            let port = takePort(packet.flow, service, backend, isUDP: isUDP, snapshot)
                ?? reclaimPort(packet.flow, service, backend, isUDP: isUDP, snapshot, tick)
        else {
            if service.snatAddressCount > 0 {
                counters.addFailure(
                    ofSNATAddress: snapshot.snat.choices[Int(service.firstSNATAddress)])
            }
            throw .snatExhausted
        }
        let entry = ConnectionEntry(
            key: packet.flow, service: service.id, backend: backendID,
            backendEpoch: backend.epoch, mode: .snat, state: state, snatAddress: port.address,
            snatPort: port.port, tick: tick)
        let index = insert(entry, packet.hash, snapshot)
        guard index != 0 else {
            freePort(of: entry, backend, snapshot)
            throw .connectionTableFull
        }
        return index
    }

    /// Begins a connection in the place of the one that has ended between the same two ends.
    ///
    /// A `snat` connection that would go to the same backend keeps its port: what the server still
    /// knows of the one before is then of this very client, who chose sequence numbers and
    /// timestamps to follow on from it (RFC 6191, RFC 7323 appendix B), and a RST with which the
    /// client clears the server's TIME-WAIT clears the one that its next SYN meets.
    ///
    /// - Returns: `false` when the entry has ended, and the packet is to be admitted as new.
    @inline(never)
    mutating func begin(
        again index: UInt32, _ packet: PacketState, _ snapshot: borrowing ForwardingSnapshot,
        _ tick: Tick
    ) -> Bool {
        let old = connections[index]
        guard old.mode == .snat, let service = snapshot.service(packet.service),
            service.id == old.service, service.mode == .snat,
            service.maglev.backend(for: selectionWord(packet, service, snapshot)) == old.backend,
            isWithinBound(packet.flow.source, snapshot, tick)
        else {
            end(index, for: .evictionsClosed, snapshot)
            return false
        }
        connections[index] = ConnectionEntry(
            key: old.key, service: old.service, backend: old.backend,
            backendEpoch: old.backendEpoch, mode: .snat, state: .opening,
            snatAddress: old.snatAddress, snatPort: old.snatPort, tick: tick)
        connections[index].packets = 1
        openingCount &+= 1
        counters.add(1, to: .evictionsClosed)
        counters.add(1, to: .insertions)
        counters.endConnection(service: old.service, backend: old.backend)
        counters.beginConnection(service: old.service, backend: old.backend)
        return true
    }

    @inline(__always)
    private mutating func isWithinBound(
        _ source: IPAddress, _ snapshot: borrowing ForwardingSnapshot, _ tick: Tick
    ) -> Bool {
        guard let rate = snapshot.newPerSource else { return true }
        return sources.take(source, snapshot.hash(ofSource: source), rate: rate, at: tick)
    }

    /// Puts an entry into the table, at the cost of a transitory one if it must be; 0 when that is
    /// not possible.
    mutating func insert(
        _ entry: ConnectionEntry, _ hash: UInt64, _ snapshot: borrowing ForwardingSnapshot
    ) -> UInt32 {
        var index = connections.allocate()
        if index == 0 {
            makeRoom(near: hash, snapshot)
            index = connections.allocate()
        }
        guard index != 0 else {
            counters.add(1, to: .insertionsFull)
            return 0
        }
        connections[index] = entry
        connections[index].packets = 1
        guard link(index, by: hash, snapshot) else {
            connections.release(index)
            counters.add(1, to: .insertionsFull)
            return 0
        }
        if entry.mode == .snat {
            let reply = replyFlow(of: index, snapshot)
            prepareRewrite(of: index, reply)
            guard link(index, by: snapshot.flowHash.hash(reply), snapshot) else {
                connections.unlink(index, by: hash)
                connections.release(index)
                counters.add(1, to: .insertionsFull)
                return 0
            }
        }
        if entry.state == .opening { openingCount &+= 1 }
        counters.add(1, to: .insertions)
        counters.beginConnection(service: entry.service, backend: entry.backend)
        return index
    }

    /// Computes what is made of the packets of a `snat` connection.
    @inline(__always)
    func prepareRewrite(of index: UInt32, _ reply: FiveTuple) {
        guard reply.isIPv4 else { return }
        connections[index].rewrite = IPv4Rewrite(from: connections[index].key, answeredBy: reply)
    }

    @inline(__always)
    private mutating func link(
        _ index: UInt32, by hash: UInt64, _ snapshot: borrowing ForwardingSnapshot
    ) -> Bool {
        if connections.link(index, by: hash) { return true }
        var victim = Victim()
        connections.neighbours(of: hash) { neighbour in
            if neighbour != index { victim.consider(neighbour, connections[neighbour]) }
        }
        evict(victim.index, snapshot)
        return connections.link(index, by: hash)
    }

    // MARK: End

    /// Ends a connection: nothing finds it any more, its port is free.
    mutating func end(
        _ index: UInt32, for cause: Counter, _ snapshot: borrowing ForwardingSnapshot
    ) {
        let entry = connections[index]
        connections.unlink(index, by: snapshot.flowHash.hash(entry.key))
        if entry.mode == .snat {
            connections.unlink(index, by: snapshot.flowHash.hash(replyFlow(of: index, snapshot)))
            freePort(of: entry, snapshot.backend(entry.backend), snapshot)
        }
        if entry.state == .opening { openingCount &-= 1 }
        connections.release(index)
        counters.add(1, to: cause)
        counters.endConnection(service: entry.service, backend: entry.backend)
    }

    /// Ends an entry in the buckets of a hash if one is transitory, else the best of a sample.
    private mutating func makeRoom(near hash: UInt64, _ snapshot: borrowing ForwardingSnapshot) {
        var victim = Victim()
        connections.neighbours(of: hash) { victim.consider($0, connections[$0]) }
        for _ in 0..<Self.evictionSample where !victim.isTransitory {
            let index = sweep.next(below: connections.highWaterMark)
            if index != 0 { victim.consider(index, connections[index]) }
        }
        evict(victim.index, snapshot)
    }

    private mutating func evict(_ index: UInt32, _ snapshot: borrowing ForwardingSnapshot) {
        if index != 0 { end(index, for: .evictionsPressure, snapshot) }
    }

    /// The entry that a new one costs least by: the longest idle of the transitory ones, else of
    /// the datagrams; none when all are TCP connections in use.
    ///
    /// Without the second, a flood of datagrams, which nothing closes, would leave no room for
    /// others until their timeout.
    private struct Victim {
        private(set) var index: UInt32 = 0
        private var rank = 0
        private var lastSeen: UInt32 = 0

        var isTransitory: Bool { rank == 2 }

        mutating func consider(_ candidate: UInt32, _ entry: ConnectionEntry) {
            let rank = entry.state.isTransitory ? 2 : entry.state == .datagram ? 1 : 0
            let longerIdle = Tick(milliseconds: lastSeen)
                .elapsed(since: Tick(milliseconds: entry.lastSeen))
            guard rank > self.rank || rank > 0 && rank == self.rank && longerIdle > 0 else {
                return
            }
            index = candidate
            self.rank = rank
            lastSeen = entry.lastSeen
        }
    }
}
