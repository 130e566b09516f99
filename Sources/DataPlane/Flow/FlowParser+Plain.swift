// SPDX-License-Identifier: Apache-2.0

/// What the link puts in front of IP, as a type, so that code for it has offsets that are constants.
protocol PlainLink {
    /// Bytes in front of the IP header.
    static var headerLength: Int { get }
    /// Whether there is a VLAN tag in them.
    static var isTagged: Bool { get }
}

/// Ethernet.
enum UntaggedLink: PlainLink {
    @inline(__always) static var headerLength: Int { EthernetHeader.byteCount }
    @inline(__always) static var isTagged: Bool { false }
}

/// Ethernet with a VLAN tag.
enum TaggedLink: PlainLink {
    @inline(__always) static var headerLength: Int {
        EthernetHeader.byteCount + VLANTag.byteCount
    }
    @inline(__always) static var isTagged: Bool { true }
}

/// One of the two families of plain packets.
protocol PlainFamily {
    /// Notes flow, hash and layout of a plain packet; `false` when it may not be one.
    static func parse<Link: PlainLink>(
        _ frame: Frame, behind link: Link.Type, with snapshot: borrowing ForwardingSnapshot,
        into packet: inout PacketState
    ) -> Bool
}

/// Packets of IPv4.
enum PlainIPv4: PlainFamily {
    @inline(__always)
    static func parse<Link: PlainLink>(
        _ frame: Frame, behind link: Link.Type, with snapshot: borrowing ForwardingSnapshot,
        into packet: inout PacketState
    ) -> Bool {
        FlowParser.parsePlainIPv4(frame, behind: link, with: snapshot, into: &packet)
    }
}

/// Packets of IPv6.
enum PlainIPv6: PlainFamily {
    @inline(__always)
    static func parse<Link: PlainLink>(
        _ frame: Frame, behind link: Link.Type, with snapshot: borrowing ForwardingSnapshot,
        into packet: inout PacketState
    ) -> Bool {
        FlowParser.parsePlainIPv6(frame, behind: link, with: snapshot, into: &packet)
    }
}

/// What nearly every frame is: a whole TCP segment or UDP datagram behind an IP header without
/// options or extensions.
///
/// Reads the headers in words of eight bytes, and accepts nothing that ``FlowParser/parse(_:on:)``
/// does not, but for addresses that cannot be a client's: what is a tracked connection's has been
/// looked at when that began, and of the rest ``FlowParser/canBegin(_:)`` says so. What it does not
/// accept may be anything: that is for the other to find out.
extension FlowParser {
    /// The first `count` bytes of a frame that has that many behind the link's header, which says
    /// that `type` follows; `nil` for any other.
    @inline(__always)
    private static func headers<Link: PlainLink>(
        _ frame: Frame, behind link: Link.Type, _ type: UInt16, count: Int,
        with snapshot: borrowing ForwardingSnapshot
    ) -> HeaderBytes? {
        guard let headers = frame.bytes(at: 0, count: Link.headerLength + count),
            headers.load(Link.headerLength - 2) == type,
            !Link.isTagged || LinkHeader.type(of: frame, on: snapshot.link) != nil
        else { return nil }
        return headers
    }

    /// Whether a connection may begin between these addresses.
    static func canBegin(_ flow: FiveTuple) -> Bool {
        flow.source != flow.destination
            && (flow.source.isIPv4
                ? canBeClient(flow.source.lowWord) : canBeClient(flow.source))
    }

    /// Notes flow, hash and layout of a plain packet of IPv4; `false` when it may not be one.
    @inline(__always)
    static func parsePlainIPv4<Link: PlainLink>(
        _ frame: Frame, behind link: Link.Type, with snapshot: borrowing ForwardingSnapshot,
        into packet: inout PacketState
    ) -> Bool {
        let offset = Link.headerLength
        guard
            let headers = headers(
                frame, behind: link, EthernetHeader.EtherType.ipv4,
                count: IPv4Header.byteCount + UDPHeader.byteCount, with: snapshot)
        else { return false }
        // Version to length, identification to fragment; TTL to checksum, source; destination, ports.
        let first: UInt64 = headers.load(offset)
        let second: UInt64 = headers.load(offset + 8)
        let third: UInt64 = headers.load(offset + 16)
        let length = UInt16(truncatingIfNeeded: first >> 32)
        // A sum of 16-bit words is all ones, or 0 modulo 65535, and so is that of 32-bit words.
        let sum =
            (first >> 32) &+ (first & 0xffff_ffff) &+ (second >> 32) &+ (second & 0xffff_ffff)
            &+ (third >> 32)
        guard first >> 56 == 0x45, first & UInt64(IPv4Header.Fragment.mask) == 0,
            length >= IPv4Header.byteCount + UDPHeader.byteCount,
            offset &+ Int(length) <= frame.length, isMultipleOf65535(sum)
        else { return false }
        let transport = UInt8(truncatingIfNeeded: second >> 48)
        guard
            let flags = plainTransportFlags(
                transport, of: frame, at: offset + IPv4Header.byteCount,
                count: length &- UInt16(IPv4Header.byteCount))
        else { return false }
        packet.flow.set(
            ipv4: second << 32 | third >> 32, ports: UInt32(truncatingIfNeeded: third),
            transport: transport)
        packet.hash = snapshot.flowHash.hash(ipv4: packet.flow)
        packet.layout = FrameLayout(
            ipv4: first, transportOffset: offset + IPv4Header.byteCount, tcpFlags: flags)
        packet.isRead()
        return true
    }

    /// Whether a number is a multiple of 65535: then, and only then, its product with the inverse of
    /// 65535 modulo 2⁶⁴ is small (Granlund and Montgomery, "Division by invariant integers", §9).
    @inline(__always)
    private static func isMultipleOf65535(_ number: UInt64) -> Bool {
        number &* 0xfffe_fffe_fffe_ffff <= UInt64.max / 0xffff
    }

    /// Notes flow, hash and layout of a plain packet of IPv6; `false` when it may not be one.
    @inline(__always)
    static func parsePlainIPv6<Link: PlainLink>(
        _ frame: Frame, behind link: Link.Type, with snapshot: borrowing ForwardingSnapshot,
        into packet: inout PacketState
    ) -> Bool {
        let offset = Link.headerLength
        guard
            let headers = headers(
                frame, behind: link, EthernetHeader.EtherType.ipv6,
                count: IPv6Header.byteCount + UDPHeader.byteCount, with: snapshot)
        else { return false }
        let first: UInt64 = headers.load(offset)
        let source = IPAddress(high: headers.load(offset + 8), low: headers.load(offset + 16))
        let destination = IPAddress(
            high: headers.load(offset + 24), low: headers.load(offset + 32))
        let count = UInt16(truncatingIfNeeded: first >> 16)
        let length = IPv6Header.byteCount &+ Int(count)
        guard first >> 60 == 6, offset &+ length <= frame.length, length <= UInt16.max,
            // An IPv4 address has no business here, and would look like one.
            source.high != 0 || !source.isIPv4, destination.high != 0 || !destination.isIPv4
        else { return false }
        let transport = UInt8(truncatingIfNeeded: first >> 8)
        guard
            let flags = plainTransportFlags(
                transport, of: frame, at: offset &+ IPv6Header.byteCount, count: count)
        else { return false }
        let flow = FiveTuple(wide: source, destination, headers.load(offset + 40), transport)
        packet.flow = flow
        packet.hash = snapshot.flowHash.hash(ipv6: flow)
        packet.layout = FrameLayout(
            transportOffset: UInt16(truncatingIfNeeded: offset &+ IPv6Header.byteCount),
            packetLength: UInt16(truncatingIfNeeded: length),
            fragment: IPv4Header.Fragment.dontFragment,
            typeOfService: UInt8(truncatingIfNeeded: first >> 52), tcpFlags: flags, isIPv6: true)
        packet.isRead()
        return true
    }

    /// The control bits of a TCP segment of `count` bytes, none for a UDP datagram; `nil` when it
    /// is neither, or contradicts itself.
    @inline(__always)
    private static func plainTransportFlags(
        _ transport: UInt8, of frame: Frame, at offset: Int, count: UInt16
    ) -> TCPFlags? {
        if transport == TransportProtocol.udp.rawValue {
            guard let udp = UDPHeader(in: frame, at: offset), udp.length <= count,
                udp.length >= UDPHeader.byteCount
            else { return nil }
            return []
        }
        guard transport == TransportProtocol.tcp.rawValue,
            let tcp = TCPHeader(in: frame, at: offset), tcp.headerLength >= TCPHeader.byteCount,
            tcp.headerLength <= Int(count), tcp.flags.makeSense
        else { return nil }
        return tcp.flags
    }
}
