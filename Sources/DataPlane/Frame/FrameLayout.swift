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

    // What differs from packet to packet comes first; the rest is written at once.

    /// Offset of the transport header from the start of the frame, in bytes; of a later fragment,
    /// of its data.
    var transportOffset: UInt16 = 0
    /// Bytes of the IP packet, headers included; the frame may be longer (Ethernet padding).
    var packetLength: UInt16 = 0
    /// IPv4 flags, see ``IPv4Header/Fragment``; of IPv6 always "don't fragment".
    var fragment: UInt16 = 0
    var typeOfService: UInt8 = 0
    /// Control bits of a TCP segment; empty for UDP.
    var tcpFlags = TCPFlags(rawValue: 0)
    /// Offset of the fragment header of IPv6; 0 when there is none.
    var fragmentHeaderOffset: UInt16 = 0
    var kind = Kind.whole
    var isIPv6 = false

    /// Bytes of the IP header without options or extension headers.
    @inline(__always)
    var ipHeaderByteCount: Int { isIPv6 ? IPv6Header.byteCount : IPv4Header.byteCount }

    /// Whether the packet may be cut up on its way.
    @inline(__always)
    var mayBeFragmented: Bool { fragment & IPv4Header.Fragment.dontFragment == 0 }
}
