// SPDX-License-Identifier: Apache-2.0

/// A tunnelled packet as an ICMP error quotes it: two IP headers.
struct TunnelQuote {
    /// Where the tunnel led.
    var end: IPAddress
    /// Bytes that it added.
    var overhead: Int
    /// What the network says would fit, in bytes.
    var mtu: Int
    var innerOffset: Int
    var innerIsIPv6: Bool
    /// Addresses of the packet inside; without ports.
    var inner: FiveTuple

    /// Bytes behind the inner IP header that a quote must have to be of use to its receiver.
    static let leastInnerData = 8

    /// `nil` unless the error says "too big", and quotes a tunnel header, a whole inner header and
    /// eight bytes of what follows; and for inner packets about which no error may be sent.
    init?(in packet: Frame, _ icmp: ICMPHeader, at transportOffset: Int, isIPv6: Bool) {
        let offset = transportOffset + ICMPHeader.byteCount
        let transport: UInt8
        if isIPv6 {
            guard icmp.type == ICMPv6.packetTooBig, let ip = IPv6Header(in: packet, at: offset),
                ip.version == 6
            else { return nil }
            end = ip.destination
            overhead = IPv6Header.byteCount
            mtu = Int(clamping: icmp.rest)
            transport = ip.nextHeader
        } else {
            guard icmp.type == ICMPv4.unreachable, icmp.code == ICMPv4.fragmentationNeeded,
                let ip = IPv4Header(in: packet, at: offset), ip.version == 4,
                ip.headerLength == IPv4Header.byteCount
            else { return nil }
            end = IPAddress(IPv4Address(ip.destination))
            overhead = IPv4Header.byteCount
            mtu = Int(icmp.rest & 0xffff)
            transport = ip.transport
        }
        innerOffset = offset + overhead
        innerIsIPv6 = transport == Encapsulation.ipv6InIP
        guard innerIsIPv6 || transport == Encapsulation.ipv4InIP else { return nil }
        let headerLength = innerIsIPv6 ? IPv6Header.byteCount : IPv4Header.byteCount
        guard packet.length >= innerOffset + headerLength + Self.leastInnerData else { return nil }
        if innerIsIPv6 {
            guard let ip = IPv6Header(in: packet, at: innerOffset), ip.version == 6,
                ip.nextHeader != ICMPv6.transport
            else { return nil }
            inner = FiveTuple(
                source: ip.source, destination: ip.destination, ports: 0, transport: ip.nextHeader)
        } else {
            guard let ip = IPv4Header(in: packet, at: innerOffset), ip.version == 4,
                ip.transport != ICMPv4.transport, FragmentPosition(ipv4: ip.fragment).offset == 0
            else { return nil }
            inner = FiveTuple(
                source: IPAddress(IPv4Address(ip.source)),
                destination: IPAddress(IPv4Address(ip.destination)), ports: 0,
                transport: ip.transport)
        }
    }
}
