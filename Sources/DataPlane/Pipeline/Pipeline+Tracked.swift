// SPDX-License-Identifier: Apache-2.0

/// The way of nearly every packet: of a tracked connection that goes on as it is.
///
/// Decides nothing that ``Pipeline/decide(_:_:_:_:)`` would decide otherwise; what is not as usual
/// is left to it. The tables are used where they lie: a copy of a record would be most of the work.
extension Pipeline {
    /// Sends a packet on if it is as usual; `false`, with nothing done, when it is not.
    ///
    /// The caller counts the look-up.
    @inline(__always)
    mutating func carry(
        _ batch: inout Batch, _ index: Int, _ snapshot: borrowing ForwardingSnapshot, _ tick: Tick
    ) -> Bool {
        let entry = unsafe connections.pointer(to: batch[index].candidate)
        guard unsafe FiveTuple.same(entry.pointee.key, batch[index].flow) else {
            return carryToClient(&batch, index, snapshot, tick)
        }
        let service = unsafe entry.pointee.service
        guard unsafe entry.pointee.goesOn(with: batch[index].layout.tcpFlags),
            !snapshot.judgesPackets || isUnjudged(service, batch, index, snapshot)
        else { return false }
        let backendID = unsafe entry.pointee.backend
        guard Int(backendID) < snapshot.backends.table.count else { return false }
        let epoch = unsafe UInt32(entry.pointee.backendEpoch)
        let isSent =
            unsafe entry.pointee.mode == .dsr
            ? sendThroughTunnel(&batch, index, to: backendID, epoch, snapshot)
            : unsafe sendTranslated(&batch, index, entry, epoch, snapshot)
        guard isSent else { return false }
        let bytes = UInt64(batch[index].layout.packetLength)
        unsafe entry.pointee.lastSeen = tick.milliseconds
        unsafe entry.pointee.packets &+= 1
        batch[index].service = service
        batch[index].backend = backendID
        counters.add(1, to: .packetsIn, ofService: service)
        counters.add(bytes, to: .bytesIn, ofService: service)
        counters.add(1, to: .packets, ofBackend: backendID)
        counters.add(bytes, to: .bytes, ofBackend: backendID)
        return true
    }

    /// Sends a packet through the tunnel to a backend; `false`, with nothing done, when that is not
    /// as usual.
    ///
    /// - Precondition: there is a backend of that number.
    @inline(__always)
    mutating func sendThroughTunnel(
        _ batch: inout Batch, _ index: Int, to backendID: UInt16, _ epoch: UInt32,
        _ snapshot: borrowing ForwardingSnapshot
    ) -> Bool {
        let address = batch.address(at: index)
        let frame = memory.acceptedFrame(at: address, length: batch.length(at: index))
        let header = unsafe snapshot.tunnels.table.mutableAddress(ofValid: Int(backendID))
        guard unsafe header.pointee.carriedEpoch == epoch,
            let packet = unsafe TunnelHeader.wrap(
                frame, batch[index].layout, hash: batch[index].hash,
                identification: &identification, in: header, on: snapshot.link)
        else { return false }
        let overhead = UInt64(truncatingIfNeeded: frame.headroom &- packet.headroom)
        batch.transmit(index, address: address &- overhead, length: packet.length)
        return true
    }

    /// Sends a client's packet to the backend of its connection, from the connection's SNAT port;
    /// `false`, with nothing done, when that is not as usual.
    ///
    /// - Precondition: there is a backend of that number.
    @inline(__always)
    mutating func sendTranslated(
        _ batch: inout Batch, _ index: Int, _ entry: UnsafeMutablePointer<ConnectionEntry>,
        _ epoch: UInt32, _ snapshot: borrowing ForwardingSnapshot
    ) -> Bool {
        let backend = unsafe snapshot.backends.table.mutableAddress(
            ofValid: Int(entry.pointee.backend))
        guard unsafe backend.pointee.carriedEpoch == epoch else { return false }
        let address = batch.address(at: index)
        let frame = memory.acceptedFrame(at: address, length: batch.length(at: index))
        let transport = batch[index].flow.transportNumber
        let port = unsafe backend.pointee.port
        let rewrite = unsafe SNATRewrite(
            source: snapshot.snat.address(entry.pointee.snatAddress),
            sourcePort: entry.pointee.snatPort, destination: backend.pointee.address,
            destinationPort: port == 0 ? batch[index].flow.destinationPort : port)
        guard
            let packet = rewrite.applyPlain(
                to: frame, batch[index].layout,
                isUDP: transport == TransportProtocol.udp.rawValue, on: snapshot.link)
        else { return false }
        unsafe EthernetHeader(in: packet)?.setAddresses(
            destination: backend.pointee.mac, source: snapshot.link.mac)
        batch.transmit(index, address: address, length: packet.length)
        return true
    }

    /// Whether the service that a packet is for is the connection's, and lets its packets go on
    /// without looking at each.
    @inline(never)
    private func isUnjudged(
        _ service: UInt16, _ batch: borrowing Batch, _ index: Int,
        _ snapshot: borrowing ForwardingSnapshot
    ) -> Bool {
        guard snapshot.serviceTable.service(for: batch[index].flow) == service,
            let record = snapshot.service(service)
        else { return false }
        return !record.judgesEveryPacket
    }

    /// Sends a backend's packet on if it is as usual; `false`, with nothing done, when it is not.
    ///
    /// The caller counts the look-up.
    @inline(never)
    private mutating func carryToClient(
        _ batch: inout Batch, _ index: Int, _ snapshot: borrowing ForwardingSnapshot, _ tick: Tick
    ) -> Bool {
        let candidate = batch[index].candidate
        let entry = unsafe connections.pointer(to: candidate)
        let flow = batch[index].flow
        guard isReply(flow, to: candidate, snapshot),
            unsafe entry.pointee.goesOn(with: batch[index].layout.tcpFlags),
            unsafe entry.pointee.flags & ConnectionEntry.Flag.replied != 0,
            admitsTracked(candidate, snapshot),
            case .resolved(let mac) = snapshot.nextHops.hop(
                towards: unsafe entry.pointee.key.source)
        else { return false }
        let address = batch.address(at: index)
        let frame = memory.acceptedFrame(at: address, length: batch.length(at: index))
        let key = unsafe entry.pointee.key
        let rewrite = SNATRewrite(
            source: key.destination, sourcePort: key.destinationPort, destination: key.source,
            destinationPort: key.sourcePort)
        let isUDP = flow.transportNumber == TransportProtocol.udp.rawValue
        guard
            let packet = rewrite.applyPlain(
                to: frame, batch[index].layout, isUDP: isUDP, on: snapshot.link)
        else { return false }
        EthernetHeader(in: packet)?.setAddresses(destination: mac, source: snapshot.link.mac)
        batch.transmit(index, address: address, length: packet.length)
        unsafe entry.pointee.lastSeen = tick.milliseconds
        unsafe entry.pointee.packets &+= 1
        let service = unsafe entry.pointee.service
        batch[index].service = service
        batch[index].backend = unsafe entry.pointee.backend
        counters.add(1, to: .packetsOut, ofService: service)
        counters.add(UInt64(batch[index].layout.packetLength), to: .bytesOut, ofService: service)
        return true
    }
}
