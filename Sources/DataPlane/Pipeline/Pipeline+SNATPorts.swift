// SPDX-License-Identifier: Apache-2.0

/// The SNAT ports of connections: taken, given back, and taken from those that have ended.
extension Pipeline {
    /// Resting ports that are looked at when no port is free.
    private static let reclaimSample = 64

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
    mutating func takePort(
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
    mutating func reclaimPort(
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

    mutating func freePort(
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
