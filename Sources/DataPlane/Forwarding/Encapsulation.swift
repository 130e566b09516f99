// SPDX-License-Identifier: Apache-2.0

/// `dsr`: the packet as it came, with another IP header in front (RFC 2003, RFC 2473, RFC 4213).
///
/// The family of the outer header is the backend's, the protocol it names the inner one's.
enum Encapsulation {
    /// Protocol numbers of IP in IP.
    static let ipv4InIP: UInt8 = 4
    static let ipv6InIP: UInt8 = 41

    /// Bytes of the outer header towards an address.
    @inline(__always)
    static func overhead(towards backend: IPAddress) -> Int {
        backend.isIPv4 ? IPv4Header.byteCount : IPv6Header.byteCount
    }

    /// What the outer header says, apart from what is copied from the inner one.
    struct Outer {
        var destination: IPAddress
        /// Hash of the inner flow: hashed outer sources and flow labels are taken from it.
        var hash: UInt64
        /// Used when the packet may be fragmented; a whole packet needs none (RFC 6864 §4.1).
        var identification: UInt16
    }

    /// Writes the outer header and makes room for the link's header in front of it.
    ///
    /// Ethernet padding after the packet is cut off. The inner packet stays byte for byte as it
    /// came: the load balancer stands for the VIP's host, so its TTL has arrived.
    ///
    /// - Returns: The frame, whose Ethernet addresses are not set yet; `nil` when it would be over
    ///   the link's MTU, or the chunk has no headroom. Then nothing was written.
    @inline(__always)
    static func encapsulate(
        _ frame: Frame, _ layout: FrameLayout, _ outer: Outer, on link: borrowing LinkRecord
    ) -> Frame? {
        let overhead = overhead(towards: outer.destination)
        let totalLength = Int(layout.packetLength) &+ overhead
        guard totalLength <= link.mtu,
            let packet = frame.cutIfLonger(
                than: link.headerLength &+ Int(layout.packetLength)
            )?.grown(by: overhead),
            LinkHeader.write(
                outer.destination.isIPv4
                    ? EthernetHeader.EtherType.ipv4 : EthernetHeader.EtherType.ipv6,
                in: packet, on: link)
        else { return nil }
        let typeOfService =
            layout.typeOfService & link.typeOfServiceMask | link.typeOfServiceBits
        let transport = layout.isIPv6 ? ipv6InIP : ipv4InIP
        if outer.destination.isIPv4 {
            guard let ip = IPv4Header(in: packet, at: link.headerLength) else { return nil }
            let dontFragment = layout.fragment & IPv4Header.Fragment.dontFragment
            let hashed = UInt32(truncatingIfNeeded: outer.hash) & link.outerIPv4HashMask
            ip.write(
                typeOfService: typeOfService, totalLength: UInt16(truncatingIfNeeded: totalLength),
                identification: dontFragment == 0 ? outer.identification : 0,
                fragment: dontFragment, timeToLive: link.outerTimeToLive, transport: transport,
                source: link.outerIPv4 | hashed, destination: outer.destination.lowWord)
        } else {
            guard let ip = IPv6Header(in: packet, at: link.headerLength) else { return nil }
            let source = IPAddress(
                high: link.outerIPv6.high,
                low: link.outerIPv6.low | outer.hash & link.outerIPv6HashMask)
            // Routers spread flows by the label where they cannot see inside (RFC 6438).
            ip.write(
                trafficClass: typeOfService,
                flowLabel: UInt32(truncatingIfNeeded: outer.hash >> 40),
                payloadLength: layout.packetLength, nextHeader: transport,
                hopLimit: link.outerTimeToLive, source: source, destination: outer.destination)
        }
        return packet
    }
}
