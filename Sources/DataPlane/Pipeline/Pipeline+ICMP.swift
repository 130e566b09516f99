// SPDX-License-Identifier: Apache-2.0

/// ICMP to a VIP, and errors that meet what was translated or tunnelled.
extension Pipeline {
    /// Third pass for what is no whole segment or datagram.
    @inline(never)
    mutating func handleSpecial(
        _ batch: inout Batch, _ index: Int, _ snapshot: borrowing ForwardingSnapshot, _ tick: Tick
    ) throws(DropReason) {
        guard batch[index].layout.kind == .icmp else {
            try handleFragment(&batch, index, snapshot, tick)
            return
        }
        guard let packet = icmpPacket(batch, index, snapshot),
            let icmp = ICMPHeader(in: packet, at: Int(batch[index].layout.transportOffset))
        else { throw .malformed }
        guard hasValidChecksum(packet, batch[index]) else { throw .badChecksum }
        let isIPv6 = batch[index].layout.isIPv6
        let isForVIP = snapshot.serviceTable.isVIP(batch[index].flow.destination)
        if icmp.type == (isIPv6 ? ICMPv6.echoRequest : ICMPv4.echoRequest) {
            guard isForVIP, snapshot.icmp.answersEcho else { throw .noService }
            try answerEcho(&batch, index, packet, icmp, snapshot, tick)
            return
        }
        guard isIPv6 ? ICMPv6.isError(icmp.type) : ICMPv4.isError(icmp.type) else {
            throw .noService
        }
        // Nothing may be told to shrink below what every link carries (RFC 8201 §4).
        if isIPv6, icmp.type == ICMPv6.packetTooBig,
            icmp.rest < UInt32(ICMPError.leastMTU(isIPv6: true))
        {
            throw .policy
        }
        // Who tries out which connections there are gets few tries.
        let source = batch[index].flow.source
        let hash = snapshot.hash(ofSource: source)
        guard guessers.has(source, hash, rate: Self.guessesPerSecond, at: tick) else {
            throw .rateLimited
        }
        do throws(DropReason) {
            if isForVIP {
                try forwardErrorToBackend(&batch, index, packet, snapshot, tick)
            } else if let quote = quote(in: packet, batch[index]) {
                try forwardErrorToClient(&batch, index, packet, quote, snapshot, tick)
            } else {
                try relayTunnelError(&batch, index, packet, icmp, snapshot, tick)
            }
        } catch {
            _ = guessers.take(source, hash, rate: Self.guessesPerSecond, at: tick)
            throw error
        }
    }

    /// Errors about nothing of ours that a source may send: a router that still tells of
    /// connections that have ended sends few, somebody who guesses ports needs thousands.
    private static let guessesPerSecond: UInt32 = 16

    /// The frame, cut to where its packet ends.
    private func icmpPacket(
        _ batch: borrowing Batch, _ index: Int, _ snapshot: borrowing ForwardingSnapshot
    ) -> Frame? {
        memory.frame(at: batch.address(at: index), length: batch.length(at: index))?
            .cut(to: snapshot.link.headerLength + Int(batch[index].layout.packetLength))
    }

    private func hasValidChecksum(_ packet: Frame, _ state: PacketState) -> Bool {
        let offset = Int(state.layout.transportOffset)
        let received = GeneratedPacket(
            source: state.flow.source, destination: state.flow.destination,
            transport: state.flow.transportNumber, identification: 0)
        return received.checksum(of: packet, at: offset, byteCount: packet.length - offset) == 0
    }

    private func quote(in packet: Frame, _ state: PacketState) -> QuotedPacket? {
        QuotedPacket(
            in: packet, at: Int(state.layout.transportOffset) + ICMPHeader.byteCount,
            isIPv6: state.layout.isIPv6)
    }

    // MARK: Echo

    private mutating func answerEcho(
        _ batch: inout Batch, _ index: Int, _ packet: Frame, _ icmp: ICMPHeader,
        _ snapshot: borrowing ForwardingSnapshot, _ tick: Tick
    ) throws(DropReason) {
        let state = batch[index]
        guard isAnswerable(state.flow.source, snapshot) else { throw .badSource }
        guard echoBucket.take(at: tick, rate: replyRate(snapshot)) else { throw .rateLimited }
        let offset = Int(state.layout.transportOffset)
        let reply = GeneratedPacket(
            source: state.flow.destination, destination: state.flow.source,
            transport: state.flow.transportNumber, typeOfService: state.layout.typeOfService,
            identification: nextIdentification())
        let byteCount = packet.length - offset
        let type = state.layout.isIPv6 ? ICMPv6.echoReply : ICMPv4.echoReply
        icmp.typeAndCode = UInt16(type) << 8 | icmp.typeAndCode & 0xff
        // It was right, so nothing is laundered; of nothing but zeros the sum cannot be adjusted.
        icmp.checksum = 0
        icmp.checksum = reply.checksum(of: packet, at: offset, byteCount: byteCount)
        guard
            let frame = reply.wrap(
                packet, dataAt: offset, byteCount: byteCount, on: snapshot.link)
        else { throw .malformed }
        counters.add(1, to: .echoReplies)
        try send(frame, &batch, index, from: packet, to: state.flow.source, snapshot, tick)
    }

    // MARK: Errors from the network

    /// An error about a packet that a VIP sent: to the backend that sent it in the VIP's name.
    private mutating func forwardErrorToBackend(
        _ batch: inout Batch, _ index: Int, _ packet: Frame,
        _ snapshot: borrowing ForwardingSnapshot, _ tick: Tick
    ) throws(DropReason) {
        guard let quote = quote(in: packet, batch[index]),
            quote.flow.source == batch[index].flow.destination
        else { throw .malformed }
        // What the client sent, or would have sent, to get that packet.
        let flow = quote.flow.reversed
        guard let id = snapshot.serviceTable.service(for: flow), let service = snapshot.service(id)
        else { throw .noService }
        var owner = batch[index]
        owner.flow = flow
        owner.hash = snapshot.flowHash.hash(flow)
        let entry = connection(of: owner).flatMap { admitsTracked($0, snapshot) ? $0 : nil }
        if entry == nil, try passOn(&batch, index, snapshot) { return }
        batch[index].service = id
        batch[index].missed = entry == nil
        if let entry, connections[entry].mode == .snat {
            let reply = replyFlow(of: entry, snapshot)
            batch[index].backend = connections[entry].backend
            try translateError(
                &batch, index, packet, quote, as: reply,
                from: reply.destination, to: reply.source, snapshot)
            try deliver(
                &batch, index,
                to: nextHop(of: snapshot.backend(connections[entry].backend), snapshot), snapshot,
                tick)
            countForwardedError(isIPv6: batch[index].layout.isIPv6)
            return
        }
        guard entry != nil || service.mode == .dsr else { throw .noConnection }
        let backend =
            entry.map { connections[$0].backend }
            ?? service.maglev.backend(for: selectionWord(owner, service, snapshot))
        guard backend != MaglevTable.nobody else { throw .noConnection }
        batch[index].backend = backend
        batch[index].hash = owner.hash
        do throws(DropReason) {
            try encapsulate(&batch, index, snapshot.backend(backend), snapshot, tick)
        } catch {
            // No error about an error (RFC 1122 §3.2.2).
            throw error == .tooBig ? .malformed : error
        }
        countForwardedError(isIPv6: batch[index].layout.isIPv6)
    }

    private func countForwardedError(isIPv6: Bool) {
        counters.add(1, to: isIPv6 ? .errorsForwardedIPv6 : .errorsForwardedIPv4)
    }

    /// An error about a translated packet on its way to a backend: to the client.
    private mutating func forwardErrorToClient(
        _ batch: inout Batch, _ index: Int, _ packet: Frame, _ quote: QuotedPacket,
        _ snapshot: borrowing ForwardingSnapshot, _ tick: Tick
    ) throws(DropReason) {
        let reply = quote.flow.reversed
        guard reply.destination == batch[index].flow.destination,
            let address = snapshot.snat.find(reply.destination),
            let port = address.index(of: reply.destinationPort)
        else { throw .noConnection }
        let owner = address.owner(ofIndex: port)
        guard owner == worker else {
            batch.handOff(index, to: owner)
            return
        }
        let entry = connections.find(snapshot.flowHash.hash(reply)) {
            isReply(reply, to: $0, snapshot)
        }
        guard entry != 0, admitsTracked(entry, snapshot) else {
            batch[index].missed = true
            throw .noConnection
        }
        let key = connections[entry].key
        batch[index].service = connections[entry].service
        batch[index].backend = connections[entry].backend
        try translateError(
            &batch, index, packet, quote, as: key, from: key.destination, to: key.source, snapshot)
        try deliver(&batch, index, to: snapshot.nextHops.hop(towards: key.source), snapshot, tick)
        countForwardedError(isIPv6: batch[index].layout.isIPv6)
    }

    /// Rewrites an error, what it quotes, and all checksums (RFC 5508 §4.2).
    private func translateError(
        _ batch: inout Batch, _ index: Int, _ packet: Frame, _ quote: QuotedPacket,
        as flow: FiveTuple, from source: IPAddress, to destination: IPAddress,
        _ snapshot: borrowing ForwardingSnapshot
    ) throws(DropReason) {
        let layout = batch[index].layout
        let offset = Int(layout.transportOffset)
        guard packet.length - snapshot.link.headerLength <= snapshot.link.mtu else {
            throw .malformed
        }
        let rewrite = SNATRewrite(
            source: source, sourcePort: 0, destination: destination, destinationPort: 0)
        try rewrite.applyToHeader(of: packet, layout, at: snapshot.link.headerLength)
        quote.rewrite(in: packet, to: flow)
        guard let icmp = ICMPHeader(in: packet, at: offset) else { throw .malformed }
        let outer = GeneratedPacket(
            source: source, destination: destination,
            transport: batch[index].flow.transportNumber, identification: 0)
        icmp.checksum = 0
        icmp.checksum = outer.checksum(
            of: packet, at: offset, byteCount: packet.length - offset)
        batch.setDescriptor(
            at: index, address: batch.address(at: index),
            length: UInt32(truncatingIfNeeded: packet.length))
    }

    /// A tunnelled packet was too big for the way to its backend: its sender is told the size
    /// that is not (RFC 2003 §5.1, RFC 2473 §7.1).
    private mutating func relayTunnelError(
        _ batch: inout Batch, _ index: Int, _ packet: Frame, _ icmp: ICMPHeader,
        _ snapshot: borrowing ForwardingSnapshot, _ tick: Tick
    ) throws(DropReason) {
        guard
            let tunnel = TunnelQuote(
                in: packet, icmp, at: Int(batch[index].layout.transportOffset),
                isIPv6: batch[index].layout.isIPv6),
            snapshot.tunnelEnds.find(tunnel.end) != nil,
            snapshot.serviceTable.isVIP(tunnel.inner.destination)
        else { throw .noConnection }
        let least = ICMPError.leastMTU(isIPv6: tunnel.innerIsIPv6)
        let mtu = max(tunnel.mtu - tunnel.overhead, least)
        guard tunnel.mtu > tunnel.overhead, errorBucket.take(at: tick, rate: errorRate(snapshot))
        else { throw .rateLimited }
        let identification = nextIdentification()
        guard
            let error = ICMPError.tooBig(mtu: mtu).build(
                quoting: packet, at: tunnel.innerOffset, isIPv6: tunnel.innerIsIPv6,
                from: tunnel.inner.destination, to: tunnel.inner.source,
                identification: identification, on: snapshot.link)
        else { throw .malformed }
        counters.add(1, to: .tunnelErrors)
        countTooBig(isIPv6: tunnel.innerIsIPv6)
        try send(error, &batch, index, from: packet, to: tunnel.inner.source, snapshot, tick)
    }

    /// Shows a frame to the next worker, as any of them may have the connection; `false` when all
    /// have seen it.
    ///
    /// It goes from the worker that received it to the first, and on to the last.
    private func passOn(
        _ batch: inout Batch, _ index: Int, _ snapshot: borrowing ForwardingSnapshot
    ) throws(DropReason) -> Bool {
        guard snapshot.workerCount > 1 else { return false }
        let next = batch.isHandedOver(index) || worker == 0 ? worker + 1 : 0
        guard next < snapshot.workerCount else { return false }
        batch.handOff(index, to: next)
        return true
    }
}
