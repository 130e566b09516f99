// SPDX-License-Identifier: Apache-2.0

/// Where the layers of a frame start, and what later passes need of its headers.
struct FrameLayout: BitwiseCopyable {
    /// What kind of packet it is, as far as handling differs.
    enum Kind: UInt8, BitwiseCopyable {
        /// A whole TCP segment or UDP datagram.
        case whole
        /// A fragment that has the ports.
        case firstFragment
        /// One that has not.
        case laterFragment
        /// An ICMP message.
        case icmp
    }

    /// What differs from packet to packet, in one word: fragment, offset of the transport header,
    /// length, type of service and TCP flags from the least significant bits up, each where the
    /// first eight bytes of an IPv4 header have it, or something of no further use.
    private var word: UInt64 = 0

    /// Offset of the fragment header of IPv6; 0 when there is none.
    var fragmentHeaderOffset: UInt16 = 0
    var kind = Kind.whole
    var isIPv6 = false

    /// An empty layout.
    init() {}

    init(
        transportOffset: UInt16, packetLength: UInt16, fragment: UInt16, typeOfService: UInt8,
        tcpFlags: TCPFlags = [], isIPv6: Bool = false
    ) {
        word =
            UInt64(fragment) | UInt64(transportOffset) << 16 | UInt64(packetLength) << 32
            | UInt64(typeOfService) << 48 | UInt64(tcpFlags.rawValue) << 56
        self.isIPv6 = isIPv6
    }

    /// The layout of a whole packet of IPv4 without options.
    ///
    /// - Parameters:
    ///   - first: The first eight bytes of its header.
    ///   - transportOffset: Bytes in front of the transport header.
    ///   - tcpFlags: Those of a TCP segment.
    @inline(__always)
    init(ipv4 first: UInt64, transportOffset: Int, tcpFlags: TCPFlags) {
        word =
            first & 0x00ff_ffff_0000_ffff | UInt64(truncatingIfNeeded: transportOffset) << 16
            | UInt64(tcpFlags.rawValue) << 56
    }

    /// Offset of the transport header from the start of the frame, in bytes; of a later fragment,
    /// of its data.
    @inline(__always)
    var transportOffset: UInt16 {
        get { UInt16(truncatingIfNeeded: word >> 16) }
        set { word = word & ~(0xffff << 16) | UInt64(newValue) << 16 }
    }

    /// Bytes of the IP packet, headers included; the frame may be longer (Ethernet padding).
    @inline(__always)
    var packetLength: UInt16 { UInt16(truncatingIfNeeded: word >> 32) }

    /// IPv4 flags, see ``IPv4Header/Fragment``; of IPv6 always "don't fragment".
    @inline(__always)
    var fragment: UInt16 {
        get { UInt16(truncatingIfNeeded: word) }
        set { word = word & ~0xffff | UInt64(newValue) }
    }

    @inline(__always)
    var typeOfService: UInt8 { UInt8(truncatingIfNeeded: word >> 48) }

    /// Type of service and length as they are in the first word of an IPv4 header, with something
    /// else in the uppermost byte.
    @inline(__always)
    var serviceAndLength: UInt32 { UInt32(truncatingIfNeeded: word >> 32) }

    /// Control bits of a TCP segment; empty for UDP.
    @inline(__always)
    var tcpFlags: TCPFlags {
        get { TCPFlags(rawValue: UInt8(truncatingIfNeeded: word >> 56)) }
        set { word = word & ~(0xff << 56) | UInt64(newValue.rawValue) << 56 }
    }

    /// Bytes of the IP header without options or extension headers.
    @inline(__always)
    var ipHeaderByteCount: Int { isIPv6 ? IPv6Header.byteCount : IPv4Header.byteCount }

    /// Whether the packet may be cut up on its way.
    @inline(__always)
    var mayBeFragmented: Bool { fragment & IPv4Header.Fragment.dontFragment == 0 }
}
