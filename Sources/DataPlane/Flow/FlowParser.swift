// SPDX-License-Identifier: Apache-2.0

/// What the first pass finds in a frame.
struct ParsedFrame: BitwiseCopyable {
    /// Ports are 0 where there are none: in ICMP and later fragments.
    var flow: FiveTuple
    var layout: FrameLayout
}

/// Bytes → five-tuple.
///
/// Takes nothing on trust: each length is compared with the bytes that are there, in the order of
/// the layers. What every packet passes is inlined; IPv6 extension headers, IPv4 options and
/// fragments are out of line.
enum FlowParser {
    /// The five-tuple and layout of an Ethernet frame.
    ///
    /// - Throws: `not_ip` for what steering should have left to the kernel, `malformed` when a
    ///   header contradicts the frame, `bad_checksum` for the IPv4 header's, `bad_source` when the
    ///   source cannot be a client, `options` for source routes and options that contradict
    ///   themselves, `fragment` for a fragment that cannot be part of a packet.
    @inline(__always)
    static func parse(
        _ frame: Frame, on link: borrowing LinkRecord
    ) throws(DropReason) -> ParsedFrame {
        guard let type = LinkHeader.type(of: frame, on: link) else { throw .notIP }
        if type == EthernetHeader.EtherType.ipv4 {
            return try parseIPv4(frame, at: link.headerLength)
        }
        guard type == EthernetHeader.EtherType.ipv6 else { throw .notIP }
        return try parseIPv6(frame, at: link.headerLength)
    }

    @inline(__always)
    private static func parseIPv4(
        _ frame: Frame, at offset: Int
    ) throws(DropReason) -> ParsedFrame {
        guard let ip = IPv4Header(in: frame, at: offset), ip.version == 4 else { throw .malformed }
        let headerLength = ip.headerLength
        let packetLength = Int(ip.totalLength)
        guard headerLength >= IPv4Header.byteCount, packetLength >= headerLength,
            offset &+ packetLength <= frame.length
        else { throw .malformed }
        if headerLength == IPv4Header.byteCount {
            guard ip.hasValidChecksumWithoutOptions else { throw .badChecksum }
        } else {
            guard
                IPv4Header.hasValidChecksum(in: frame, at: offset, headerLength: headerLength)
            else { throw .badChecksum }
            try IPv4Options.check(in: frame, at: offset, headerLength: headerLength)
        }
        let source = ip.source
        let destination = ip.destination
        guard source != destination, canBeClient(source) else { throw .badSource }

        let fragment = ip.fragment
        let transportOffset = offset &+ headerLength
        let packet = frame.cut(to: offset &+ packetLength)
        var layout = FrameLayout(
            transportOffset: UInt16(truncatingIfNeeded: transportOffset),
            packetLength: ip.totalLength, fragment: fragment, typeOfService: ip.typeOfService)
        var ports: UInt32 = 0
        if fragment & IPv4Header.Fragment.mask == 0 {
            ports = try transportPorts(ip.transport, of: packet, &layout)
        } else {
            let position = FragmentPosition(ipv4: fragment)
            ports = try fragmentPorts(ip.transport, of: packet, position, &layout)
        }
        return ParsedFrame(
            flow: FiveTuple(
                source: IPAddress(IPv4Address(source)),
                destination: IPAddress(IPv4Address(destination)), ports: ports,
                transport: ip.transport),
            layout: layout)
    }

    /// Both ports of a TCP or UDP header in a frame that ends where its packet ends; 0 for ICMP.
    @inline(__always)
    static func transportPorts(
        _ transport: UInt8, of packet: Frame, _ layout: inout FrameLayout
    ) throws(DropReason) -> UInt32 {
        let offset = Int(layout.transportOffset)
        if transport == TransportProtocol.tcp.rawValue {
            guard let tcp = TCPHeader(in: packet, at: offset) else { throw .malformed }
            let headerLength = tcp.headerLength
            guard headerLength >= TCPHeader.byteCount, offset &+ headerLength <= packet.length,
                tcp.flags.makeSense
            else { throw .malformed }
            layout.tcpFlags = tcp.flags
            return tcp.ports
        }
        if transport == TransportProtocol.udp.rawValue {
            guard let udp = UDPHeader(in: packet, at: offset) else { throw .malformed }
            let length = Int(udp.length)
            guard length >= UDPHeader.byteCount,
                offset &+ length <= packet.length || layout.kind == .firstFragment
            else { throw .malformed }
            return udp.ports
        }
        let icmp = layout.isIPv6 ? ICMPv6.transport : ICMPv4.transport
        guard transport == icmp, layout.kind == .whole else { throw .notIP }
        guard ICMPHeader(in: packet, at: offset) != nil else { throw .malformed }
        layout.kind = .icmp
        return 0
    }

    /// Whether a host may use `source` (RFC 1122 §3.2.1.3): not "this network", loopback,
    /// multicast, reserved or broadcast.
    @inline(__always)
    static func canBeClient(_ source: UInt32) -> Bool {
        let first = source >> 24
        return first != 0 && first != 127 && first < 224
    }
}

extension TCPFlags {
    /// Whether a segment with these flags can occur (RFC 9293 §3.10.7): all but those that open
    /// or refuse a connection acknowledge something, and none both opens and ends one.
    @inline(__always)
    var makeSense: Bool {
        let control = intersection([.syn, .ack, .fin, .rst])
        if control.contains(.syn) { return control.isDisjoint(with: [.fin, .rst]) }
        return !control.isDisjoint(with: [.ack, .rst])
    }
}
