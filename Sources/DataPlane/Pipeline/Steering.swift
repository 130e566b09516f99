// SPDX-License-Identifier: Apache-2.0

/// Whether a frame is ours: the pure mirror of the steering program's decision.
///
/// The program (XSKRing/BPF/steer.bpf.c) decides before a frame reaches us, this type in the
/// offline commands and in tests; a test gives both the same frames and compares. What is
/// redirected the pipeline must be able to judge; what is passed the kernel gets unchanged.
///
/// Redirected are frames to the interface's own hardware address, in its VLAN, that are
/// - TCP or UDP to a VIP at a port that is offered there,
/// - TCP or UDP from a backend of `snat` to a SNAT address and port,
/// - fragments to a VIP, or from such a backend to a SNAT address,
/// - ICMP to a VIP, except neighbour and multicast listener discovery, and except echo requests
///   that are not to be answered,
/// - ICMP errors that quote a translated packet, or say that a tunnelled one is too big,
/// - anything to a VIP whose headers cannot be told apart.
public enum Steering: Sendable {
    /// What the program does with a frame.
    case redirect
    /// The kernel gets it.
    case pass

    /// Extension headers of IPv6 that the program walks.
    static let walkLimit = 8

    /// Decides on an Ethernet frame as it arrives.
    public static func decide(
        _ frame: UnsafeRawBufferPointer, with snapshot: borrowing ForwardingSnapshot
    ) -> Steering {
        guard let start = frame.baseAddress else { return .pass }
        let view = unsafe Frame(
            start: UnsafeMutableRawPointer(mutating: start), length: frame.count, headroom: 0)
        guard let ethernet = EthernetHeader(in: view),
            ethernet.destination == snapshot.link.mac,
            let type = LinkHeader.type(of: view, on: snapshot.link)
        else { return .pass }
        let isOurs: Bool
        switch type {
        case EthernetHeader.EtherType.ipv4: isOurs = isOursIPv4(view, snapshot)
        case EthernetHeader.EtherType.ipv6: isOurs = isOursIPv6(view, snapshot)
        default: isOurs = false
        }
        return isOurs ? .redirect : .pass
    }

    /// What the decision is made from.
    private struct Packet {
        /// By the header: in IPv6 the mapped form of an IPv4 address is just a bad one.
        var isIPv6: Bool
        var source: IPAddress
        var destination: IPAddress
        var transport: UInt8
        /// Offset of the transport header; `nil` when it cannot be found.
        var transportOffset: Int?
        var isFragment = false
    }

    private static func isOursIPv4(
        _ frame: Frame, _ snapshot: borrowing ForwardingSnapshot
    ) -> Bool {
        let offset = snapshot.link.headerLength
        guard let ip = IPv4Header(in: frame, at: offset), ip.version == 4 else { return false }
        let isCut = ip.headerLength < IPv4Header.byteCount
        return isOurs(
            frame,
            Packet(
                isIPv6: false, source: IPAddress(IPv4Address(ip.source)),
                destination: IPAddress(IPv4Address(ip.destination)), transport: ip.transport,
                transportOffset: isCut ? nil : offset + ip.headerLength,
                isFragment: ip.fragment & IPv4Header.Fragment.mask != 0),
            snapshot)
    }

    private static func isOursIPv6(
        _ frame: Frame, _ snapshot: borrowing ForwardingSnapshot
    ) -> Bool {
        let offset = snapshot.link.headerLength
        guard let ip = IPv6Header(in: frame, at: offset), ip.version == 6 else { return false }
        var packet = Packet(
            isIPv6: true, source: ip.source, destination: ip.destination,
            transport: ip.nextHeader, transportOffset: nil)
        var end = offset + IPv6Header.byteCount
        for _ in 0..<walkLimit {
            guard IPv6Extension.isExtension(packet.transport) else { break }
            guard let header = frame.bytes(at: end, count: 8) else { break }
            let length: UInt8 = header.load(1)
            if packet.transport == IPv6Extension.fragment {
                if !FragmentPosition(ipv6: header.load(2)).isWhole {
                    packet.isFragment = true
                    break
                }
                end += 8
            } else if packet.transport == IPv6Extension.authentication {
                end += (Int(length) + 2) * 4
            } else {
                end += (Int(length) + 1) * 8
            }
            packet.transport = header.load(0)
        }
        if !IPv6Extension.isExtension(packet.transport) { packet.transportOffset = end }
        return isOurs(frame, packet, snapshot)
    }

    private static func isOurs(
        _ frame: Frame, _ packet: Packet, _ snapshot: borrowing ForwardingSnapshot
    ) -> Bool {
        let isForVIP = snapshot.serviceTable.isVIP(packet.destination)
        if packet.isFragment {
            return isForVIP
                || snapshot.snat.find(packet.destination) != nil
                    && snapshot.snatHosts.find(packet.source) != nil
        }
        guard let offset = packet.transportOffset else { return isForVIP }
        let icmp = packet.isIPv6 ? ICMPv6.transport : ICMPv4.transport
        let isTransport = TransportProtocol(rawValue: packet.transport) != nil
        guard isTransport || packet.transport == icmp else { return false }
        guard let header = UDPHeader(in: frame, at: offset) else { return isForVIP }
        if !isTransport { return isOursICMP(frame, packet, offset, isForVIP, snapshot) }
        return isFlow(
            FiveTuple(
                source: packet.source, destination: packet.destination, ports: header.ports,
                transport: packet.transport),
            snapshot)
    }

    private static func isFlow(
        _ flow: FiveTuple, _ snapshot: borrowing ForwardingSnapshot
    ) -> Bool {
        snapshot.serviceTable.service(for: flow) != nil || isReply(flow, snapshot)
    }

    private static func isReply(
        _ flow: FiveTuple, _ snapshot: borrowing ForwardingSnapshot
    ) -> Bool {
        guard snapshot.snat.find(flow.destination)?.index(of: flow.destinationPort) != nil else {
            return false
        }
        return snapshot.snatSources.contains(
            flow.source, port: flow.sourcePort, transport: flow.transportNumber)
            || snapshot.snatSources.contains(
                flow.source, port: 0, transport: flow.transportNumber)
    }

    private static func isOursICMP(
        _ frame: Frame, _ packet: Packet, _ offset: Int, _ isForVIP: Bool,
        _ snapshot: borrowing ForwardingSnapshot
    ) -> Bool {
        guard let icmp = ICMPHeader(in: frame, at: offset) else { return isForVIP }
        let isIPv6 = packet.isIPv6
        if isIPv6, ICMPv6.isForKernel(icmp.type) { return false }
        if isForVIP {
            let request = isIPv6 ? ICMPv6.echoRequest : ICMPv4.echoRequest
            return icmp.type != request || snapshot.icmp.answersEcho
        }
        guard isIPv6 ? ICMPv6.isError(icmp.type) : ICMPv4.isError(icmp.type) else { return false }
        return isReply(quotedIn: frame, at: offset + ICMPHeader.byteCount, isIPv6, snapshot)
            || isTunnel(quotedIn: frame, icmp, at: offset, isIPv6, snapshot)
    }

    /// Whether the quoted packet was translated: the reply to it would be ours.
    private static func isReply(
        quotedIn frame: Frame, at offset: Int, _ isIPv6: Bool,
        _ snapshot: borrowing ForwardingSnapshot
    ) -> Bool {
        var quoted: Packet
        let end: Int
        if isIPv6 {
            guard let ip = IPv6Header(in: frame, at: offset), ip.version == 6 else { return false }
            quoted = Packet(
                isIPv6: true, source: ip.source, destination: ip.destination,
                transport: ip.nextHeader)
            end = offset + IPv6Header.byteCount
        } else {
            guard let ip = IPv4Header(in: frame, at: offset), ip.version == 4,
                ip.headerLength >= IPv4Header.byteCount,
                FragmentPosition(ipv4: ip.fragment).offset == 0
            else { return false }
            quoted = Packet(
                isIPv6: false, source: IPAddress(IPv4Address(ip.source)),
                destination: IPAddress(IPv4Address(ip.destination)), transport: ip.transport)
            end = offset + ip.headerLength
        }
        guard TransportProtocol(rawValue: quoted.transport) != nil,
            let header = UDPHeader(in: frame, at: end)
        else { return false }
        let flow = FiveTuple(
            source: quoted.source, destination: quoted.destination, ports: header.ports,
            transport: quoted.transport)
        return isReply(flow.reversed, snapshot)
    }

    private static func isTunnel(
        quotedIn frame: Frame, _ icmp: ICMPHeader, at offset: Int, _ isIPv6: Bool,
        _ snapshot: borrowing ForwardingSnapshot
    ) -> Bool {
        guard let quote = TunnelQuote(in: frame, icmp, at: offset, isIPv6: isIPv6) else {
            return false
        }
        return snapshot.tunnelEnds.find(quote.end) != nil
    }
}
