// SPDX-License-Identifier: Apache-2.0

/// An ICMP error of our own about a packet that cannot be forwarded (RFC 792, RFC 4443).
enum ICMPError {
    /// A packet of more than this many bytes does not fit (RFC 1191 §4, RFC 4443 §3.2).
    case tooBig(mtu: Int)
    /// TTL or hop limit ran out on the way.
    case timeExceeded
    /// Nobody serves the port.
    case portUnreachable

    /// Least MTU that is announced: RFC 791 §3.2 and RFC 8200 §5.
    static func leastMTU(isIPv6: Bool) -> Int { isIPv6 ? 1280 : 68 }

    /// Longest error: RFC 1812 §4.3.2.3 and RFC 4443 §2.4(c).
    private static func mostBytes(isIPv6: Bool) -> Int { isIPv6 ? 1280 : 576 }

    /// Turns a frame with a packet into one with the error about it, which quotes its beginning.
    ///
    /// - Parameters:
    ///   - frame: The frame; its packet is the quote.
    ///   - layout: Of the frame.
    ///   - source: The VIP the packet was for, so that the error passes where the packet came from.
    ///   - destination: The packet's sender.
    ///   - identification: Of the error's IPv4 header.
    ///   - link: Where it leaves.
    /// - Returns: The frame, without Ethernet addresses; `nil` when the chunk has no headroom.
    func build(
        about frame: Frame, _ layout: FrameLayout, from source: IPAddress,
        to destination: IPAddress, identification: UInt16, on link: borrowing LinkRecord
    ) -> Frame? {
        build(
            quoting: frame.cut(to: link.headerLength + Int(layout.packetLength)),
            at: link.headerLength, isIPv6: layout.isIPv6, from: source, to: destination,
            identification: identification, on: link)
    }

    /// Turns a frame into an error that quotes what it has from `offset` to its end.
    func build(
        quoting frame: Frame, at offset: Int, isIPv6: Bool, from source: IPAddress,
        to destination: IPAddress, identification: UInt16, on link: borrowing LinkRecord
    ) -> Frame? {
        let packet = GeneratedPacket(
            source: source, destination: destination,
            transport: isIPv6 ? ICMPv6.transport : ICMPv4.transport,
            identification: identification)
        let overhead = packet.ipHeaderByteCount + ICMPHeader.byteCount
        let quote = min(frame.length - offset, Self.mostBytes(isIPv6: isIPv6) - overhead)
        guard
            let error = packet.wrap(
                frame, dataAt: offset - ICMPHeader.byteCount,
                byteCount: ICMPHeader.byteCount + quote, on: link)
        else { return nil }
        let start = link.headerLength + packet.ipHeaderByteCount
        guard let icmp = ICMPHeader(in: error, at: start) else { return nil }
        icmp.typeAndCode = typeAndCode(isIPv6: isIPv6)
        icmp.rest = rest
        icmp.checksum = 0
        icmp.checksum = packet.checksum(
            of: error, at: start, byteCount: ICMPHeader.byteCount + quote)
        return error
    }

    private var rest: UInt32 {
        if case .tooBig(let mtu) = self { return UInt32(truncatingIfNeeded: mtu) }
        return 0
    }

    private func typeAndCode(isIPv6: Bool) -> UInt16 {
        let type: UInt8
        var code: UInt8 = 0
        switch self {
        case .tooBig:
            type = isIPv6 ? ICMPv6.packetTooBig : ICMPv4.unreachable
            code = isIPv6 ? 0 : ICMPv4.fragmentationNeeded
        case .timeExceeded:
            type = isIPv6 ? ICMPv6.timeExceeded : ICMPv4.timeExceeded
        case .portUnreachable:
            type = isIPv6 ? ICMPv6.unreachable : ICMPv4.unreachable
            code = isIPv6 ? ICMPv6.portUnreachable : ICMPv4.portUnreachable
        }
        return UInt16(type) << 8 | UInt16(code)
    }
}
