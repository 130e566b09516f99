// SPDX-License-Identifier: Apache-2.0

/// What every frame that comes or leaves has in common.
struct LinkRecord: BitwiseCopyable {
    var mac: MACAddress
    /// Largest IP packet in bytes.
    var mtu: Int
    // In a byte, of which the compiler knows that it is not negative.
    private var typeByteOffset: UInt8
    /// The tag control information that is written; 0 when frames carry none.
    var vlan: UInt16
    /// The interface's own addresses; zero when there is none.
    var ipv4: IPAddress
    var ipv6: IPAddress
    /// Outer sources of `dsr`: all of them, or the network part when they are hashed.
    var outerIPv4: UInt32
    var outerIPv6: IPAddress
    /// Bits of the outer source that are taken from the flow hash.
    var outerIPv4HashMask: UInt32
    var outerIPv6HashMask: UInt64
    var outerTimeToLive: UInt8
    /// DSCP and ECN of the inner header that are copied out.
    var typeOfServiceMask: UInt8
    /// DSCP that is set instead.
    var typeOfServiceBits: UInt8
    /// Of the first word of an outer header of IPv4, what is the packet's own, and what is added:
    /// version, header length, DSCP, and its own length.
    var outerWordMask: UInt32
    var outerWordBits: UInt32
    var repliesTooBig: Bool
    var clampsMSS: Bool

    init(_ plan: borrowing ForwardingPlan) {
        let none = FiveTuple.zero.source
        mac = plan.link.mac
        mtu = plan.link.mtu
        vlan = plan.link.vlan ?? 0
        typeByteOffset = UInt8(
            EthernetHeader.byteCount - 2 + (vlan == 0 ? 0 : VLANTag.byteCount))
        ipv4 = plan.link.ipv4 ?? none
        ipv6 = plan.link.ipv6 ?? none
        let encapsulation = plan.encapsulation
        outerTimeToLive = encapsulation.timeToLive
        outerIPv4 = encapsulation.ipv4SourcePrefix?.network.lowWord ?? ipv4.lowWord
        outerIPv4HashMask =
            encapsulation.ipv4SourcePrefix.map { Self.hostMask(32 - $0.length, of: UInt32.self) }
            ?? 0
        outerIPv6 = encapsulation.ipv6SourcePrefix?.network ?? ipv6
        outerIPv6HashMask =
            encapsulation.ipv6SourcePrefix.map {
                Self.hostMask(min(128 - $0.length, 64), of: UInt64.self)
            } ?? 0
        // ECN is always copied: RFC 6040 §4.1, normal mode.
        typeOfServiceMask = encapsulation.dscp == nil ? 0xff : 0x03
        typeOfServiceBits = (encapsulation.dscp ?? 0) << 2
        outerWordMask = UInt32(typeOfServiceMask) << 16 | 0xffff
        outerWordBits =
            0x4500_0000 | UInt32(typeOfServiceBits) << 16 | UInt32(IPv4Header.byteCount)
        repliesTooBig = encapsulation.repliesTooBig
        clampsMSS = encapsulation.clampsMSS
    }

    /// Bytes in front of the IP header: 14, or 18 with a VLAN tag.
    @inline(__always)
    var headerLength: Int { Int(typeByteOffset) &+ 2 }

    /// Bytes in front of the type of what follows the link's header.
    @inline(__always)
    var typeOffset: Int { Int(typeByteOffset) }

    private static func hostMask<T: FixedWidthInteger & UnsignedInteger>(
        _ bits: Int, of type: T.Type
    ) -> T {
        bits >= T.bitWidth ? .max : (1 << T(bits)) &- 1
    }
}
