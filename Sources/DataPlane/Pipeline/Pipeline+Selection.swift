// SPDX-License-Identifier: Apache-2.0

/// Which backend a flow that is not tracked goes to.
extension Pipeline {
    /// The word that chooses the Maglev slot of a packet.
    @inline(__always)
    func selectionWord(
        _ packet: PacketState, _ service: ServiceRecord, _ snapshot: borrowing ForwardingSnapshot
    ) -> UInt32 {
        if service.affinity == .fiveTuple { return packet.hash.slotWord }
        return snapshot.selectionWord(packet.flow, packet.hash, service.affinity)
    }

    /// The backend that the QUIC connection ID of a datagram names, if it still serves.
    @inline(never)
    func namedBackend(
        _ batch: borrowing Batch, _ index: Int, _ service: ServiceRecord,
        _ snapshot: borrowing ForwardingSnapshot
    ) -> UInt16? {
        guard batch[index].flow.transportNumber == TransportProtocol.udp.rawValue,
            batch[index].layout.kind == .whole,
            let frame = memory.frame(
                at: batch.address(at: index), length: batch.length(at: index)),
            let server = QUICConnectionID.server(of: frame, batch[index].layout),
            let backend = snapshot.quicServers.find(
                IPAddress(high: 0, low: UInt64(server)), scope: service.id),
            snapshot.backend(UInt16(backend)).admits != .nothing
        else { return nil }
        return UInt16(backend)
    }

    /// Whether an address is the load balancer's: the interface's, or one it puts in place of a
    /// client's.
    @inline(__always)
    func isOwn(_ address: IPAddress, _ snapshot: borrowing ForwardingSnapshot) -> Bool {
        address == snapshot.link.ipv4 || address == snapshot.link.ipv6
            || snapshot.snat.find(address) != nil
    }

    /// Whether the load balancer may answer an address: not itself, and not in a VIP's name to a
    /// VIP, which would be answered in turn.
    func isAnswerable(_ source: IPAddress, _ snapshot: borrowing ForwardingSnapshot) -> Bool {
        !isOwn(source, snapshot) && !snapshot.serviceTable.isVIP(source)
    }

    @inline(never)
    func clampMSS(
        of frame: Frame, _ layout: FrameLayout, _ overhead: Int,
        _ snapshot: borrowing ForwardingSnapshot
    ) {
        guard layout.kind == .whole else { return }
        let headers = layout.ipHeaderByteCount + TCPHeader.byteCount
        let most = snapshot.link.mtu - overhead - headers
        MSSClamp.apply(
            to: frame, at: Int(layout.transportOffset),
            most: UInt16(clamping: max(most, 0)))
    }
}

extension ForwardingSnapshot {
    /// The word that chooses the Maglev slot: a hash of what the affinity names.
    @inline(never)
    func selectionWord(
        _ flow: FiveTuple, _ hash: UInt64, _ affinity: ForwardingPlan.Affinity
    ) -> UInt32 {
        let nowhere = FiveTuple.zero.source
        switch affinity {
        case .fiveTuple, .quicConnectionID:
            return hash.slotWord
        case .clientAddress:
            return self.hash(ofSource: flow.source).slotWord
        case .destinationPort:
            let port = FiveTuple(
                source: nowhere, destination: nowhere, ports: UInt32(flow.destinationPort),
                transport: 0)
            return flowHash.hash(port).slotWord
        }
    }

    /// The keyed hash of an address alone.
    func hash(ofSource source: IPAddress) -> UInt64 {
        flowHash.hash(
            FiveTuple(
                source: source, destination: FiveTuple.zero.source, ports: 0, transport: 0))
    }
}
