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
    /// Resting ports that are looked at when no port is free.
    private static let reclaimSample = 64

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
        evict(oldestTransitory(near: hash, besides: index), snapshot)
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

    private mutating func makeRoom(near hash: UInt64, _ snapshot: borrowing ForwardingSnapshot) {
        let victim = oldestTransitory(near: hash, besides: 0)
        evict(victim != 0 ? victim : sampledTransitory(), snapshot)
    }

    private mutating func evict(_ index: UInt32, _ snapshot: borrowing ForwardingSnapshot) {
        if index != 0 { end(index, for: .evictionsPressure, snapshot) }
    }

    /// The longest idle of the transitory entries in the buckets of a hash; 0 when all are in use.
    private mutating func oldestTransitory(near hash: UInt64, besides own: UInt32) -> UInt32 {
        var oldest: UInt32 = 0
        connections.neighbours(of: hash) { index in
            guard index != own, connections[index].state.isTransitory else { return }
            let seen = Tick(milliseconds: connections[index].lastSeen)
            if oldest == 0
                || Tick(milliseconds: connections[oldest].lastSeen).elapsed(since: seen) > 0
            {
                oldest = index
            }
        }
        return oldest
    }

    /// A transitory entry out of the next few the sweep will see; 0 when all are in use.
    private mutating func sampledTransitory() -> UInt32 {
        for _ in 0..<Self.evictionSample {
            let index = sweep.next(below: connections.highWaterMark)
            if index != 0, connections[index].state.isTransitory { return index }
        }
        return 0
    }

    // MARK: SNAT ports

    /// The five-tuple of the packets a backend answers with.
    @inline(__always)
    func replyFlow(of index: UInt32, _ snapshot: borrowing ForwardingSnapshot) -> FiveTuple {
        let key = connections[index].key
        let backend = snapshot.backend(connections[index].backend)
        let address = snapshot.snat.record(connections[index].snatAddress).address
        let port = backend.port == 0 ? key.destinationPort : backend.port
        return FiveTuple(
            source: backend.address, destination: address,
            ports: UInt32(port) << 16 | UInt32(connections[index].snatPort),
            transport: key.transportNumber)
    }

    struct TakenPort {
        var address: UInt16
        var port: UInt16
    }

    /// A free port of any of the service's addresses, the client's own if possible; in use from
    /// then on.
    @inline(never)
    private mutating func takePort(
        _ flow: FiveTuple, _ service: ServiceRecord, _ backend: BackendRecord, isUDP: Bool,
        _ snapshot: borrowing ForwardingSnapshot
    ) -> TakenPort? {
        let first = Int(service.firstSNATAddress)
        for choice in first..<first + Int(service.snatAddressCount) {
            let record = snapshot.snat.record(snapshot.snat.choices[choice])
            guard record.address.isIPv4 == backend.address.isIPv4 else { continue }
            let slice = record.slice(of: worker)
            let own = record.index(of: flow.sourcePort).flatMap {
                slice.contains($0) ? Int($0 - slice.lowerBound) : nil
            }
            let key = SNATPorts.Key(
                portSpace: backend.portSpace, address: record.id, isUDP: isUDP)
            if let found = ports.take(key, of: slice.count, preferring: own) {
                return TakenPort(
                    address: record.id, port: record.port(at: slice.lowerBound + UInt32(found)))
            }
        }
        return nil
    }

    /// A port of a closed connection that has rested long enough.
    ///
    /// Looks at a bounded number of them, from a place that the flow chooses.
    private mutating func reclaimPort(
        _ flow: FiveTuple, _ service: ServiceRecord, _ backend: BackendRecord, isUDP: Bool,
        _ snapshot: borrowing ForwardingSnapshot, _ tick: Tick
    ) -> TakenPort? {
        guard !isUDP, backend.portSpace != BackendRecord.noPortSpace else { return nil }
        let first = Int(service.firstSNATAddress)
        for choice in first..<first + Int(service.snatAddressCount) {
            let record = snapshot.snat.record(snapshot.snat.choices[choice])
            guard record.address.isIPv4 == backend.address.isIPv4,
                reclaim(on: record, flow, backend, snapshot, tick)
            else { continue }
            return takePort(flow, service, backend, isUDP: isUDP, snapshot)
        }
        return nil
    }

    /// Ends a closed connection that has a port of this address towards the backend; `false` when
    /// none was found that may end.
    private mutating func reclaim(
        on record: SNATAddressRecord, _ flow: FiveTuple, _ backend: BackendRecord,
        _ snapshot: borrowing ForwardingSnapshot, _ tick: Tick
    ) -> Bool {
        let slice = record.slice(of: worker)
        guard !slice.isEmpty else { return false }
        let serverPort = backend.port == 0 ? flow.destinationPort : backend.port
        let start = UInt32(flow.sourcePort) % UInt32(slice.count)
        for step in 0..<UInt32(min(Self.reclaimSample, slice.count)) {
            let offset = (start + step) % UInt32(slice.count)
            let reply = FiveTuple(
                source: backend.address, destination: record.address,
                ports: UInt32(serverPort) << 16
                    | UInt32(record.port(at: slice.lowerBound + offset)),
                transport: flow.transportNumber)
            let index = connections.find(snapshot.flowHash.hash(reply)) { index in
                connections[index].state != .free && connections[index].mode == .snat
                    && FiveTuple.same(replyFlow(of: index, snapshot), reply)
            }
            guard index != 0, connections[index].state == .closed,
                tick.elapsed(since: Tick(milliseconds: connections[index].lastSeen))
                    >= record.reuseAfter
            else { continue }
            end(index, for: .evictionsClosed, snapshot)
            return true
        }
        return false
    }

    private mutating func freePort(
        of entry: ConnectionEntry, _ backend: BackendRecord,
        _ snapshot: borrowing ForwardingSnapshot
    ) {
        let record = snapshot.snat.record(entry.snatAddress)
        guard let index = record.index(of: entry.snatPort) else { return }
        let isUDP = entry.key.transportNumber == TransportProtocol.udp.rawValue
        let key = SNATPorts.Key(portSpace: backend.portSpace, address: record.id, isUDP: isUDP)
        ports.free(key, Int(index) - Int(record.slice(of: worker).lowerBound))
    }
}
