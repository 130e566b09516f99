// SPDX-License-Identifier: Apache-2.0

/// What nearly every frame is: a whole TCP segment or UDP datagram behind an IP header without
/// options or extensions.
///
/// Reads the headers in words of eight bytes, and accepts nothing that ``FlowParser/parse(_:on:)``
/// does not, but for addresses that cannot be a client's: what is a tracked connection's has been
/// looked at when that began, and of the rest ``FlowParser/canBegin(_:)`` says so. What it does not
/// accept may be anything: that is for the other to find out.
extension FlowParser {
    /// Notes flow, hash and layout of a plain packet; `false` when it may not be one.
    @inline(__always)
    static func parsePlain(
        _ frame: Frame, with snapshot: borrowing ForwardingSnapshot,
        into packet: inout PacketState
    ) -> Bool {
        // Of a tagged frame, the tag is looked at as well.
        guard let link = frame.bytes(at: snapshot.link.typeOffset, count: 2),
            snapshot.link.vlan == 0 || LinkHeader.type(of: frame, on: snapshot.link) != nil
        else { return false }
        let type: UInt16 = link.load(0)
        if type == EthernetHeader.EtherType.ipv4 {
            return parsePlainIPv4(frame, with: snapshot, into: &packet)
        }
        guard type == EthernetHeader.EtherType.ipv6 else { return false }
        return parsePlainIPv6(frame, with: snapshot, into: &packet)
    }

    /// Whether a connection may begin between these addresses.
    static func canBegin(_ flow: FiveTuple) -> Bool {
        flow.source != flow.destination
            && (flow.source.isIPv4
                ? canBeClient(flow.source.lowWord) : canBeClient(flow.source))
    }

    @inline(__always)
    private static func parsePlainIPv4(
        _ frame: Frame, with snapshot: borrowing ForwardingSnapshot,
        into packet: inout PacketState
    ) -> Bool {
        let offset = snapshot.link.headerLength
        guard let ip = frame.bytes(at: offset, count: IPv4Header.byteCount + UDPHeader.byteCount)
        else { return false }
        // Version to length, identification to fragment; TTL to checksum, source; destination, ports.
        let first: UInt64 = ip.load(0)
        let second: UInt64 = ip.load(8)
        let third: UInt64 = ip.load(16)
        let length = UInt16(truncatingIfNeeded: first >> 32)
        // A sum of 16-bit words is all ones, or 0 modulo 65535, and so is that of 32-bit words.
        let sum =
            (first >> 32) &+ (first & 0xffff_ffff) &+ (second >> 32) &+ (second & 0xffff_ffff)
            &+ (third >> 32)
        guard first & (0xff << 56 | UInt64(IPv4Header.Fragment.mask)) == 0x45 << 56,
            length >= IPv4Header.byteCount + UDPHeader.byteCount,
            offset &+ Int(length) <= frame.length, isMultipleOf65535(sum)
        else { return false }
        let transport = UInt8(truncatingIfNeeded: second >> 48)
        guard
            let flags = plainTransportFlags(
                transport, of: frame, at: offset &+ IPv4Header.byteCount,
                count: length &- UInt16(IPv4Header.byteCount))
        else { return false }
        let flow = FiveTuple(
            UInt32(truncatingIfNeeded: second), UInt32(truncatingIfNeeded: third >> 32),
            UInt32(truncatingIfNeeded: third), transport)
        packet.flow = flow
        packet.hash = snapshot.flowHash.hash(flow)
        packet.layout = FrameLayout(
            transportOffset: UInt16(truncatingIfNeeded: offset &+ IPv4Header.byteCount),
            packetLength: length, fragment: UInt16(truncatingIfNeeded: first),
            typeOfService: UInt8(truncatingIfNeeded: first >> 48), tcpFlags: flags)
        packet.isRead()
        return true
    }

    /// Whether a number is a multiple of 65535: then, and only then, its product with the inverse of
    /// 65535 modulo 2⁶⁴ is small (Granlund and Montgomery, "Division by invariant integers", §9).
    @inline(__always)
    private static func isMultipleOf65535(_ number: UInt64) -> Bool {
        number &* 0xfffe_fffe_fffe_ffff <= UInt64.max / 0xffff
    }

    @inline(__always)
    private static func parsePlainIPv6(
        _ frame: Frame, with snapshot: borrowing ForwardingSnapshot,
        into packet: inout PacketState
    ) -> Bool {
        let offset = snapshot.link.headerLength
        guard let ip = frame.bytes(at: offset, count: IPv6Header.byteCount + UDPHeader.byteCount)
        else { return false }
        let first: UInt64 = ip.load(0)
        let source = IPAddress(high: ip.load(8), low: ip.load(16))
        let destination = IPAddress(high: ip.load(24), low: ip.load(32))
        let count = UInt16(truncatingIfNeeded: first >> 16)
        let length = IPv6Header.byteCount &+ Int(count)
        guard first >> 60 == 6, offset &+ length <= frame.length, length <= UInt16.max,
            // An IPv4 address has no business here, and would look like one.
            !source.isIPv4, !destination.isIPv4
        else { return false }
        let transport = UInt8(truncatingIfNeeded: first >> 8)
        guard
            let flags = plainTransportFlags(
                transport, of: frame, at: offset &+ IPv6Header.byteCount, count: count)
        else { return false }
        let flow = FiveTuple(wide: source, destination, ip.load(40), transport)
        packet.flow = flow
        packet.hash = snapshot.flowHash.hash(flow)
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
