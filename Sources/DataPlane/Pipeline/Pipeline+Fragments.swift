// SPDX-License-Identifier: Apache-2.0

/// Fragments: what is decided on the first one holds for the others.
///
/// NICs spread fragments by their addresses, if that, so those of one packet may come to different
/// workers. One worker, chosen by a hash of what they have in common, sees all of them; where a
/// SNAT port belongs to another, that worker gets all of them from there.
extension Pipeline {
    mutating func handleFragment(
        _ batch: inout Batch, _ index: Int, _ snapshot: borrowing ForwardingSnapshot, _ tick: Tick
    ) throws(DropReason) {
        guard snapshot.tracksFragments, let key = fragmentKey(batch, index, snapshot) else {
            throw .fragment
        }
        let hash = snapshot.flowHash.hash(key.asFlow)
        let keeper = Int(truncatingIfNeeded: (hash >> 32) % UInt64(max(snapshot.workerCount, 1)))
        guard keeper == worker || batch.isHandedOver(index) else {
            batch.handOff(index, to: keeper)
            return
        }
        if batch[index].layout.kind == .laterFragment {
            try follow(&batch, index, key, hash, snapshot, tick)
            return
        }
        var entry = FragmentEntry(
            key: key, ports: batch[index].flow.ports, created: tick.milliseconds, target: 0,
            service: 0, action: .drop)
        do throws(DropReason) {
            if fragments.find(key, hash, at: tick)?.action == .drop { throw .fragment }
            try lead(&batch, index, &entry, snapshot, tick)
        } catch {
            fragments.insert(entry, hash, at: tick)
            throw error
        }
        fragments.insert(entry, hash, at: tick)
    }

    /// The first fragment: handled like a whole packet, and noted for the others.
    private mutating func lead(
        _ batch: inout Batch, _ index: Int, _ entry: inout FragmentEntry,
        _ snapshot: borrowing ForwardingSnapshot, _ tick: Tick
    ) throws(DropReason) {
        let flow = batch[index].flow
        batch[index].hash = snapshot.flowHash.hash(flow)
        batch[index].candidate = 0
        if let service = snapshot.serviceTable.service(for: flow) {
            batch[index].service = service
            try forwardToBackend(&batch, index, snapshot, tick)
            entry.service = service
            entry.target = batch[index].backend
            let isTranslated =
                connection(of: batch[index])
                .map { connections[$0].mode == .snat } ?? false
            entry.action = isTranslated ? .translateToBackend : .encapsulate
            return
        }
        guard let address = snapshot.snat.find(flow.destination),
            let port = address.index(of: flow.destinationPort)
        else { throw .noService }
        let owner = address.owner(ofIndex: port)
        guard owner == worker else {
            entry.target = UInt16(truncatingIfNeeded: owner)
            entry.action = .handOff
            batch.handOff(index, to: owner)
            return
        }
        try forwardToClient(&batch, index, snapshot, tick)
        entry.action = .translateToClient
    }

    /// A later fragment: handled as the first one was.
    private mutating func follow(
        _ batch: inout Batch, _ index: Int, _ key: FragmentKey, _ hash: UInt64,
        _ snapshot: borrowing ForwardingSnapshot, _ tick: Tick
    ) throws(DropReason) {
        guard let entry = fragments.find(key, hash, at: tick) else {
            let condemned = FragmentEntry(
                key: key, ports: 0, created: tick.milliseconds, target: 0, service: 0,
                action: .drop)
            fragments.insert(condemned, hash, at: tick)
            throw .fragment
        }
        batch[index].flow = FiveTuple(
            source: key.source, destination: key.destination, ports: entry.ports,
            transport: key.transport)
        batch[index].hash = snapshot.flowHash.hash(batch[index].flow)
        batch[index].candidate = 0
        let bytes = UInt64(batch[index].layout.packetLength)
        switch entry.action {
        case .none, .drop:
            throw .fragment
        case .handOff:
            batch.handOff(index, to: Int(entry.target))
        case .encapsulate:
            let backend = snapshot.backend(entry.target)
            guard backend.admits != .nothing else { throw .noBackend }
            countPacket(of: entry.service, to: entry.target, bytes)
            batch[index].service = entry.service
            batch[index].backend = entry.target
            try encapsulate(&batch, index, backend, snapshot, tick)
        case .translateToBackend:
            guard let connection = connection(of: batch[index]),
                connections[connection].mode == .snat, admitsTracked(connection, snapshot)
            else { throw .noConnection }
            countPacket(of: entry.service, to: entry.target, bytes)
            batch[index].service = entry.service
            batch[index].backend = entry.target
            try translateToBackend(&batch, index, connection, snapshot, tick)
        case .translateToClient:
            try forwardToClient(&batch, index, snapshot, tick)
        }
    }

    private func countPacket(of service: UInt16, to backend: UInt16, _ bytes: UInt64) {
        counters.add(1, to: .packetsIn, ofService: service)
        counters.add(bytes, to: .bytesIn, ofService: service)
        counters.add(1, to: .packets, ofBackend: backend)
        counters.add(bytes, to: .bytes, ofBackend: backend)
    }

    /// The entry of a flow from a client, left as it is; `nil` when there is none.
    func connection(of packet: PacketState) -> UInt32? {
        let entry = connections.find(packet.hash) { isForward(packet.flow, to: $0) }
        return entry == 0 ? nil : entry
    }

    private func fragmentKey(
        _ batch: borrowing Batch, _ index: Int, _ snapshot: borrowing ForwardingSnapshot
    ) -> FragmentKey? {
        let layout = batch[index].layout
        guard
            let frame = memory.frame(at: batch.address(at: index), length: batch.length(at: index))
        else { return nil }
        var identification: UInt32
        if layout.isIPv6 {
            guard let header = frame.bytes(at: Int(layout.fragmentHeaderOffset), count: 8) else {
                return nil
            }
            identification = header.load(4)
        } else {
            guard let ip = IPv4Header(in: frame, at: snapshot.link.headerLength) else {
                return nil
            }
            identification = UInt32(ip.identification)
        }
        return FragmentKey(
            source: batch[index].flow.source, destination: batch[index].flow.destination,
            identification: identification, transport: batch[index].flow.transportNumber)
    }
}
