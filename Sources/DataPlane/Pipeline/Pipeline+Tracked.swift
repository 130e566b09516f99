// SPDX-License-Identifier: Apache-2.0

/// The way of nearly every packet: of a tracked connection that goes on as it is.
///
/// Decides nothing that ``Pipeline/forwardToBackend(_:_:_:_:)`` and
/// ``Pipeline/forwardToClient(_:_:_:_:)`` would decide otherwise; what is not as usual is theirs.
extension Pipeline {
    /// Sends a packet on if it is as usual; `false`, with nothing done, when it is not.
    ///
    /// The caller counts the look-up.
    @inline(__always)
    mutating func forwardTracked(
        _ batch: inout Batch, _ index: Int, _ snapshot: borrowing ForwardingSnapshot, _ tick: Tick
    ) -> Bool {
        let candidate = batch[index].candidate
        guard candidate != 0 else { return false }
        switch batch[index].direction {
        case .fromClient: return carryToBackend(&batch, index, candidate, snapshot, tick)
        case .fromBackend: return carryToClient(&batch, index, candidate, snapshot, tick)
        case .special: return false
        }
    }

    @inline(__always)
    private mutating func carryToBackend(
        _ batch: inout Batch, _ index: Int, _ candidate: UInt32,
        _ snapshot: borrowing ForwardingSnapshot, _ tick: Tick
    ) -> Bool {
        let entry = unsafe connections.pointer(to: candidate)
        let service = Int(batch[index].service)
        let backendID = unsafe entry.pointee.backend
        guard unsafe FiveTuple.same(entry.pointee.key, batch[index].flow),
            unsafe entry.pointee.goesOn(with: batch[index].layout.tcpFlags),
            !snapshot.services.table[service].judgesEveryPacket
        else { return false }
        let backend = snapshot.backend(backendID)
        guard backend.isResolved, backend.admits != .nothing,
            unsafe backend.epoch == entry.pointee.backendEpoch,
            let frame = memory.frame(at: batch.address(at: index), length: batch.length(at: index))
        else { return false }
        let bytes = UInt64(batch[index].layout.packetLength)

        if unsafe entry.pointee.mode == .dsr {
            identification &+= 1
            let outer = Encapsulation.Outer(
                destination: backend.address, hash: batch[index].hash,
                identification: identification)
            guard
                let grown = try? Encapsulation.encapsulate(
                    frame, batch[index].layout, outer, on: snapshot.link)
            else { return false }
            send(&batch, index, grown, from: frame, to: backend.mac, snapshot)
        } else {
            let flow = batch[index].flow
            let rewrite = unsafe SNATRewrite(
                source: snapshot.snat.record(entry.pointee.snatAddress).address,
                sourcePort: entry.pointee.snatPort, destination: backend.address,
                destinationPort: backend.port == 0 ? flow.destinationPort : backend.port)
            guard
                let packet = rewrite.applyPlain(
                    to: frame, batch[index].layout,
                    isUDP: flow.transportNumber == TransportProtocol.udp.rawValue,
                    on: snapshot.link)
            else { return false }
            send(&batch, index, packet, from: frame, to: backend.mac, snapshot)
        }
        unsafe entry.pointee.lastSeen = tick.milliseconds
        unsafe entry.pointee.packets &+= 1
        batch[index].backend = backendID
        counters.add(1, bytes, toTrafficOfService: batch[index].service, toBackend: backendID)
        return true
    }

    @inline(__always)
    private mutating func carryToClient(
        _ batch: inout Batch, _ index: Int, _ candidate: UInt32,
        _ snapshot: borrowing ForwardingSnapshot, _ tick: Tick
    ) -> Bool {
        let entry = unsafe connections.pointer(to: candidate)
        let flow = batch[index].flow
        guard unsafe entry.pointee.state != .free, unsafe entry.pointee.mode == .snat,
            unsafe entry.pointee.snatPort == flow.destinationPort,
            FiveTuple.same(replyFlow(of: candidate, snapshot), flow),
            unsafe entry.pointee.goesOn(with: batch[index].layout.tcpFlags),
            unsafe entry.pointee.flags & ConnectionEntry.Flag.replied != 0,
            admitsTracked(candidate, snapshot),
            case .resolved(let mac) = snapshot.nextHops.hop(
                towards: unsafe entry.pointee.key.source),
            let frame = memory.frame(at: batch.address(at: index), length: batch.length(at: index))
        else { return false }
        let key = unsafe entry.pointee.key
        let rewrite = SNATRewrite(
            source: key.destination, sourcePort: key.destinationPort, destination: key.source,
            destinationPort: key.sourcePort)
        guard
            let packet = rewrite.applyPlain(
                to: frame, batch[index].layout,
                isUDP: flow.transportNumber == TransportProtocol.udp.rawValue, on: snapshot.link)
        else { return false }
        send(&batch, index, packet, from: frame, to: mac, snapshot)
        unsafe entry.pointee.lastSeen = tick.milliseconds
        unsafe entry.pointee.packets &+= 1
        let service = unsafe entry.pointee.service
        batch[index].service = service
        batch[index].backend = unsafe entry.pointee.backend
        counters.add(1, to: .packetsOut, ofService: service)
        counters.add(UInt64(batch[index].layout.packetLength), to: .bytesOut, ofService: service)
        return true
    }

    /// Hands over a rewritten frame, which starts before, at or after the one it was made from.
    @inline(__always)
    private func send(
        _ batch: inout Batch, _ index: Int, _ packet: Frame, from frame: Frame,
        to mac: MACAddress, _ snapshot: borrowing ForwardingSnapshot
    ) {
        EthernetHeader(in: packet)?.setAddresses(destination: mac, source: snapshot.link.mac)
        let moved = UInt64(bitPattern: Int64(packet.headroom &- frame.headroom))
        batch.transmit(
            index, address: batch.address(at: index) &+ moved, length: packet.length)
    }
}
