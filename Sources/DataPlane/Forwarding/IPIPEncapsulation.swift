// SPDX-License-Identifier: Apache-2.0

/// `dsr`: the packet as it came, with another IPv4 header in front (RFC 2003).
enum IPIPEncapsulation {
    /// Protocol number of IPv4 in IP (RFC 2003 §3.1).
    static let ipv4InIP: UInt8 = 4
    static let overhead = IPv4Header.byteCount

    /// What the outer header says, apart from what is copied from the inner one.
    struct Outer {
        var source: UInt32
        var destination: UInt32
        /// Used when the packet may be fragmented; a whole packet needs none (RFC 6864 §4.1).
        var identification: UInt16
    }

    /// Writes the outer header and makes room for the Ethernet header in front of it.
    ///
    /// Ethernet padding after the packet is cut off. The inner packet stays byte for byte as it
    /// came: the load balancer stands for the VIP's host, so its TTL has arrived.
    ///
    /// - Returns: The frame, whose Ethernet addresses are not set yet.
    /// - Throws: `too_big` when the result is over the link's MTU, `malformed` when the chunk has
    ///   no headroom.
    @inline(__always)
    static func encapsulate(
        _ frame: Frame, _ layout: FrameLayout, _ outer: Outer, on link: LinkRecord
    ) throws(DropReason) -> Frame {
        let packetLength = Int(layout.packetLength)
        let totalLength = packetLength &+ overhead
        guard totalLength <= link.mtu else { throw .tooBig }
        let packet = frame.cut(to: EthernetHeader.byteCount &+ packetLength)
        guard let grown = packet.grown(by: overhead), let ethernet = EthernetHeader(in: grown),
            let ip = IPv4Header(in: grown, at: EthernetHeader.byteCount)
        else { throw .malformed }
        ethernet.type = EthernetHeader.EtherType.ipv4
        let dontFragment = layout.fragment & IPv4Header.Fragment.dontFragment
        ip.write(
            typeOfService: layout.typeOfService & link.typeOfServiceMask | link.typeOfServiceBits,
            totalLength: UInt16(truncatingIfNeeded: totalLength),
            identification: dontFragment == 0 ? outer.identification : 0, fragment: dontFragment,
            timeToLive: link.outerTimeToLive, transport: ipv4InIP, source: outer.source,
            destination: outer.destination)
        return grown
    }
}
