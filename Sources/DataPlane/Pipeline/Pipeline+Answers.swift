// SPDX-License-Identifier: Apache-2.0

/// What the load balancer says itself, in the chunk of the frame that caused it.
extension Pipeline {
    /// Puts an ICMP error or a RST in place of a packet that cannot be forwarded; `false` when
    /// nothing is to be said.
    ///
    /// Never about ICMP or a later fragment (RFC 1122 §3.2.2), and not above the bound.
    @inline(never)
    mutating func answer(
        _ batch: inout Batch, _ index: Int, _ reason: DropReason,
        _ snapshot: borrowing ForwardingSnapshot, _ tick: Tick
    ) -> Bool {
        let layout = batch[index].layout
        guard layout.kind == .whole || layout.kind == .firstFragment,
            let frame = memory.frame(
                at: batch.address(at: index), length: batch.length(at: index)),
            isAnswerable(batch[index].flow.source, snapshot),
            let kind = kindOfAnswer(to: batch[index], reason, snapshot),
            errorBucket.take(at: tick, rate: errorRate(snapshot))
        else { return false }
        // The VIP speaks: also about replies of backends, which the client must not see as such.
        let flow = batch[index].flow
        let answer: Frame?
        switch kind {
        case .reset:
            answer = TCPReset.build(
                refusing: frame, layout, flow, identification: nextIdentification(),
                on: snapshot.link)
        case .error(let error):
            answer = error.build(
                about: frame, layout, from: flow.destination, to: flow.source,
                identification: nextIdentification(), on: snapshot.link)
        }
        guard let answer else { return false }
        do throws(DropReason) {
            try send(answer, &batch, index, from: frame, to: flow.source, snapshot, tick)
        } catch {
            return false
        }
        counters.add(1, to: .refusals)
        if case .error(.tooBig) = kind { countTooBig(isIPv6: layout.isIPv6) }
        return true
    }

    /// Counts a packet-too-big message that was sent.
    func countTooBig(isIPv6: Bool) {
        counters.add(1, to: isIPv6 ? .tooBigSentIPv6 : .tooBigSentIPv4)
    }

    private enum Answer {
        case reset
        case error(ICMPError)
    }

    private func kindOfAnswer(
        to packet: PacketState, _ reason: DropReason, _ snapshot: borrowing ForwardingSnapshot
    ) -> Answer? {
        switch reason {
        case .tooBig:
            guard snapshot.link.repliesTooBig else { return nil }
            let mtu = snapshot.link.mtu - overhead(of: packet, snapshot)
            // An IPv6 sender does not go below 1280, whatever it is told.
            let least = packet.layout.isIPv6 ? ICMPError.leastMTU(isIPv6: true) : 1
            return mtu >= least && Int(packet.layout.packetLength) > mtu
                ? .error(.tooBig(mtu: mtu)) : nil
        case .ttlExpired:
            return .error(.timeExceeded)
        case .noBackend:
            guard snapshot.service(packet.service)?.onNoBackend == .reject else { return nil }
            let isTCP = packet.flow.transportNumber == TransportProtocol.tcp.rawValue
            return isTCP ? .reset : .error(.portUnreachable)
        default:
            return nil
        }
    }

    /// Bytes that the tunnel to the packet's backend adds; 0 when there is none.
    private func overhead(
        of packet: PacketState, _ snapshot: borrowing ForwardingSnapshot
    ) -> Int {
        guard packet.backend != MaglevTable.nobody, packet.direction != .fromBackend,
            (connection(of: packet).map { connections[$0].mode }
                ?? snapshot.service(packet.service)?.mode) == .dsr
        else { return 0 }
        return Encapsulation.overhead(towards: snapshot.backend(packet.backend).address)
    }

    /// Sends a frame that was made out of another: to the next hop towards `destination`, or back
    /// where the other came from while that is not known.
    mutating func send(
        _ frame: Frame, _ batch: inout Batch, _ index: Int, from cause: Frame,
        to destination: IPAddress, _ snapshot: borrowing ForwardingSnapshot, _ tick: Tick
    ) throws(DropReason) {
        // Frames begin where their headroom ends.
        let address =
            batch.address(at: index) &- UInt64(cause.headroom)
            &+ UInt64(frame.headroom)
        batch.setDescriptor(
            at: index, address: address, length: UInt32(truncatingIfNeeded: frame.length))
        try deliver(
            &batch, index, to: snapshot.nextHops.hop(towards: destination), snapshot, tick)
    }

    mutating func nextIdentification() -> UInt16 {
        identification &+= 1
        return identification
    }

    /// Errors a second that this worker may send.
    func errorRate(_ snapshot: borrowing ForwardingSnapshot) -> UInt32 {
        max(1, snapshot.icmp.errorsPerSecond / UInt32(max(snapshot.workerCount, 1)))
    }

    /// Echo replies a second: ten times as many, as people ask for those.
    func replyRate(_ snapshot: borrowing ForwardingSnapshot) -> UInt32 {
        let rate = errorRate(snapshot)
        return rate > UInt32.max / 10 ? .max : rate * 10
    }
}
