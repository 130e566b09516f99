// SPDX-License-Identifier: Apache-2.0

/// Third pass: the connection, the backend, the rewrite, the next hop.
extension Pipeline {
    /// A packet from a client: to the backend its connection is pinned to, or to a new one.
    @inline(__always)
    mutating func forwardToBackend(
        _ batch: inout Batch, _ index: Int, _ snapshot: borrowing ForwardingSnapshot, _ tick: Tick
    ) throws(DropReason) {
        guard let service = snapshot.service(batch[index].service) else { throw .noService }
        let bytes = UInt64(batch[index].layout.packetLength)
        counters.add(1, to: .packetsIn, ofService: service.id)
        counters.add(bytes, to: .bytesIn, ofService: service.id)
        if service.hasSourceRanges {
            guard snapshot.sourceRanges.find(batch[index].flow.source, scope: service.id) != nil
            else { throw .policy }
        }
        let named =
            service.affinity == .quicConnectionID
            ? namedBackend(batch, index, service, snapshot) : nil

        if let entry = trackedConnection(of: batch[index], snapshot, tick) {
            counters.add(1, to: .lookupHits)
            let isTranslated = connections[entry].mode == .snat
            let backendID = (isTranslated ? nil : named) ?? connections[entry].backend
            batch[index].backend = backendID
            countBackend(backendID, bytes)
            if isTranslated {
                try translateToBackend(&batch, index, entry, snapshot, tick)
            } else {
                try encapsulate(&batch, index, snapshot.backend(backendID), snapshot, tick)
            }
            return
        }

        counters.add(1, to: .lookupMisses)
        batch[index].missed = true
        guard !isOwn(batch[index].flow.source, snapshot) else { throw .badSource }
        let backendID =
            named
            ?? service.maglev.backend(
                for: selectionWord(batch[index], service, snapshot))
        guard backendID != MaglevTable.nobody else { throw .noBackend }
        let backend = snapshot.backend(backendID)
        batch[index].backend = backendID
        switch service.mode {
        case .dsr:
            try track(batch[index], service, backendID, backend, snapshot, tick)
            countBackend(backendID, bytes)
            try encapsulate(&batch, index, backend, snapshot, tick)
        case .snat:
            let entry = try admit(batch[index], service, backendID, backend, snapshot, tick)
            countBackend(backendID, bytes)
            try translateToBackend(&batch, index, entry, snapshot, tick)
        }
    }

    /// A packet from a backend to a SNAT address: to the client of its connection.
    @inline(__always)
    mutating func forwardToClient(
        _ batch: inout Batch, _ index: Int, _ snapshot: borrowing ForwardingSnapshot, _ tick: Tick
    ) throws(DropReason) {
        let flow = batch[index].flow
        var entry = batch[index].candidate
        if entry == 0 || !isReply(flow, to: entry, snapshot) {
            entry = connections.find(batch[index].hash) { isReply(flow, to: $0, snapshot) }
        }
        guard entry != 0 else {
            counters.add(1, to: .lookupMisses)
            batch[index].missed = true
            throw .noConnection
        }
        counters.add(1, to: .lookupHits)
        guard admitsTracked(entry, snapshot) else {
            end(entry, for: .evictionsFlush, snapshot)
            throw .noConnection
        }
        let wasOpening = connections[entry].state == .opening
        connections[entry].advanceFromBackend(batch[index].layout.tcpFlags)
        if wasOpening && connections[entry].state != .opening { openingCount &-= 1 }
        touch(entry, tick)

        let service = connections[entry].service
        batch[index].service = service
        batch[index].backend = connections[entry].backend
        counters.add(1, to: .packetsOut, ofService: service)
        counters.add(UInt64(batch[index].layout.packetLength), to: .bytesOut, ofService: service)

        let key = connections[entry].key
        let rewrite = SNATRewrite(
            source: key.destination, sourcePort: key.destinationPort,
            destination: key.source, destinationPort: key.sourcePort)
        try translate(&batch, index, rewrite, snapshot)
        try deliver(&batch, index, to: snapshot.nextHops.hop(towards: key.source), snapshot, tick)
    }

    // MARK: Connections

    /// The entry of the packet's connection, followed by the packet; `nil` when there is none, or
    /// when the one there was has ended.
    @inline(__always)
    mutating func trackedConnection(
        of packet: PacketState, _ snapshot: borrowing ForwardingSnapshot, _ tick: Tick
    ) -> UInt32? {
        let flow = packet.flow
        var entry = packet.candidate
        if entry == 0 || !isForward(flow, to: entry) {
            entry = connections.find(packet.hash) { isForward(flow, to: $0) }
            guard entry != 0 else { return nil }
        }
        guard admitsTracked(entry, snapshot) else {
            end(entry, for: .evictionsFlush, snapshot)
            return nil
        }
        let segment = packet.layout.tcpFlags
        if segment.contains(.syn), !segment.contains(.ack),
            connections[entry].state.isReopenable || isUnanswered(entry, snapshot)
        {
            // The client uses its port again, or tries again: a new connection, admitted anew.
            return begin(again: entry, packet, snapshot, tick) ? entry : nil
        }
        let wasOpening = connections[entry].state == .opening
        connections[entry].advanceFromClient(segment)
        if wasOpening && connections[entry].state != .opening { openingCount &-= 1 }
        touch(entry, tick)
        return entry
    }

    @inline(__always)
    func isForward(_ flow: FiveTuple, to entry: UInt32) -> Bool {
        FiveTuple.same(connections[entry].key, flow) && connections[entry].state != .free
    }

    @inline(__always)
    func isReply(
        _ flow: FiveTuple, to entry: UInt32, _ snapshot: borrowing ForwardingSnapshot
    ) -> Bool {
        connections[entry].state != .free && connections[entry].mode == .snat
            && connections[entry].snatPort == flow.destinationPort
            && FiveTuple.same(replyFlow(of: entry, snapshot), flow)
    }

    @inline(__always)
    func admitsTracked(_ entry: UInt32, _ snapshot: borrowing ForwardingSnapshot) -> Bool {
        let backend = snapshot.backend(connections[entry].backend)
        return backend.admits != .nothing && backend.epoch == connections[entry].backendEpoch
    }

    /// Whether the backend of a connection does not answer, as probes found.
    @inline(__always)
    private func isUnanswered(_ entry: UInt32, _ snapshot: borrowing ForwardingSnapshot) -> Bool {
        snapshot.backend(connections[entry].backend).admits == .unansweredConnections
    }

    @inline(__always)
    private func touch(_ entry: UInt32, _ tick: Tick) {
        connections[entry].lastSeen = tick.milliseconds
        connections[entry].packets &+= 1
    }

    @inline(__always)
    private func countBackend(_ id: UInt16, _ bytes: UInt64) {
        counters.add(1, to: .packets, ofBackend: id)
        counters.add(bytes, to: .bytes, ofBackend: id)
    }

    // MARK: Rewriting

    @inline(never)
    mutating func encapsulate(
        _ batch: inout Batch, _ index: Int, _ backend: BackendRecord,
        _ snapshot: borrowing ForwardingSnapshot, _ tick: Tick
    ) throws(DropReason) {
        let address = batch.address(at: index)
        guard let frame = memory.frame(at: address, length: batch.length(at: index)) else {
            throw .malformed
        }
        let id = batch[index].backend
        if id != MaglevTable.nobody, Int(id) < snapshot.backends.table.count,
            snapshot.backends.table[Int(id)].address == backend.address,
            !snapshot.link.clampsMSS,
            let packet = wrap(frame, batch.frames, index, to: id, backend.epoch, snapshot)
        {
            return batch.transmit(index, as: packet, insteadOf: frame)
        }
        identification &+= 1
        let overhead = Encapsulation.overhead(towards: backend.address)
        if snapshot.link.clampsMSS, batch[index].layout.tcpFlags.contains(.syn) {
            clampMSS(of: frame, batch[index].layout, overhead, snapshot)
        }
        let outer = Encapsulation.Outer(
            destination: backend.address, hash: batch[index].hash, identification: identification)
        guard overhead &+ Int(batch[index].layout.packetLength) <= snapshot.link.mtu else {
            throw .tooBig
        }
        guard
            let grown = Encapsulation.encapsulate(
                frame, batch[index].layout, outer, on: snapshot.link)
        else { throw .malformed }
        batch.setDescriptor(
            at: index, address: address &- UInt64(overhead),
            length: UInt32(truncatingIfNeeded: grown.length))
        try deliver(&batch, index, to: nextHop(of: backend, snapshot), snapshot, tick)
    }

    @inline(never)
    mutating func translateToBackend(
        _ batch: inout Batch, _ index: Int, _ entry: UInt32,
        _ snapshot: borrowing ForwardingSnapshot, _ tick: Tick
    ) throws(DropReason) {
        let pointer = unsafe connections.entries.mutableAddress(of: Int(entry))
        if unsafe Int(pointer.pointee.backend) < snapshot.backends.table.count,
            let frame = memory.frame(
                at: batch.address(at: index), length: batch.length(at: index)),
            let packet = unsafe translate(
                frame, batch.frames, index, pointer, isIPv6: batch[index].layout.isIPv6,
                snapshot)
        {
            return batch.transmit(index, as: packet, insteadOf: frame)
        }
        let reply = replyFlow(of: entry, snapshot)
        let rewrite = SNATRewrite(
            source: reply.destination, sourcePort: reply.destinationPort,
            destination: reply.source, destinationPort: reply.sourcePort)
        try translate(&batch, index, rewrite, snapshot)
        let backend = snapshot.backend(connections[entry].backend)
        try deliver(&batch, index, to: nextHop(of: backend, snapshot), snapshot, tick)
    }

    @inline(__always)
    func translate(
        _ batch: inout Batch, _ index: Int, _ rewrite: SNATRewrite,
        _ snapshot: borrowing ForwardingSnapshot
    ) throws(DropReason) {
        let address = batch.address(at: index)
        guard let frame = memory.frame(at: address, length: batch.length(at: index)) else {
            throw .malformed
        }
        let isUDP = batch[index].flow.transportNumber == TransportProtocol.udp.rawValue
        let packet = try rewrite.apply(
            to: frame, batch[index].layout, isUDP: isUDP, on: snapshot.link)
        batch.setDescriptor(
            at: index, address: address, length: UInt32(truncatingIfNeeded: packet.length))
    }

    @inline(__always)
    func nextHop(
        of backend: BackendRecord, _ snapshot: borrowing ForwardingSnapshot
    ) -> NextHop {
        guard backend.nextHop != BackendRecord.noNextHop else { return .noRoute }
        return snapshot.nextHops.hop(at: Int(backend.nextHop))
    }
}
