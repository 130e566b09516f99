// SPDX-License-Identifier: Apache-2.0

/// Which part of a packet a fragment is.
struct FragmentPosition: BitwiseCopyable {
    /// Bytes of the packet's data in front of it.
    var offset: Int
    /// Whether more follow.
    var hasMore: Bool

    /// From flags and offset of an IPv4 header.
    init(ipv4 word: UInt16) {
        offset = Int(word & 0x1fff) &* 8
        hasMore = word & 0x2000 != 0
    }

    /// From the second word of a fragment header (RFC 8200 §4.5).
    init(ipv6 word: UInt16) {
        offset = Int(word & 0xfff8)
        hasMore = word & 1 != 0
    }

    /// Whether it is no fragment at all, or an atomic one (RFC 6946).
    var isWhole: Bool { offset == 0 && !hasMore }
}

extension FlowParser {
    /// Both ports of a first fragment; 0 of a later one.
    ///
    /// - Throws: `fragment` for what no sender makes and attackers do: without data, beyond
    ///   65 535 bytes, of a length that is no multiple of 8 although more follow, a first one
    ///   without the whole transport header, TCP data that begins inside its header (RFC 1858,
    ///   RFC 3128).
    @inline(never)
    static func fragmentPorts(
        _ transport: UInt8, of packet: Frame, _ position: FragmentPosition,
        _ layout: inout FrameLayout
    ) throws(DropReason) -> UInt32 {
        let byteCount = packet.length &- Int(layout.transportOffset)
        guard byteCount > 0, position.offset &+ byteCount <= Int(UInt16.max),
            !position.hasMore || fragmentedByteCount(packet, layout) & 7 == 0,
            transport == TransportProtocol.tcp.rawValue
                || transport == TransportProtocol.udp.rawValue
        else { throw .fragment }
        guard position.offset == 0 else {
            guard
                transport != TransportProtocol.tcp.rawValue
                    || position.offset >= TCPHeader.byteCount
            else { throw .fragment }
            layout.kind = .laterFragment
            return 0
        }
        layout.kind = .firstFragment
        do throws(DropReason) {
            return try transportPorts(transport, of: packet, &layout)
        } catch {
            throw .fragment
        }
    }

    /// Bytes of the fragment's data: in IPv6 extension headers after the fragment header count.
    private static func fragmentedByteCount(_ packet: Frame, _ layout: FrameLayout) -> Int {
        let headerEnd =
            layout.fragmentHeaderOffset == 0
            ? Int(layout.transportOffset) : Int(layout.fragmentHeaderOffset) + 8
        return packet.length - headerEnd
    }
}
