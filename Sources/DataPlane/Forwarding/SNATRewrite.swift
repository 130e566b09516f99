// SPDX-License-Identifier: Apache-2.0

/// `snat`: addresses and ports replaced, checksums adjusted (RFC 3022 §4, RFC 1624).
///
/// Everything else stays: type of service, identification, DF, options, sequence numbers, data. A
/// transport checksum that was wrong stays wrong, so corruption is not laundered.
struct SNATRewrite {
    var source: IPAddress
    var sourcePort: UInt16
    var destination: IPAddress
    var destinationPort: UInt16

    /// Rewrites the packet in place.
    ///
    /// - Throws: `ttl_expired` when the packet would leave with a TTL of 0 (RFC 1812 §5.3.1),
    ///   `too_big` when it is over the link's MTU, `bad_checksum` for UDP over IPv6 without one
    ///   (RFC 8200 §8.1), `malformed` for a frame that ``FlowParser`` did not accept.
    @inline(__always)
    func apply(
        to frame: Frame, _ layout: FrameLayout, isUDP: Bool, on link: borrowing LinkRecord
    ) throws(DropReason) -> Frame {
        let packet = frame.cut(to: link.headerLength &+ Int(layout.packetLength))
        guard Int(layout.packetLength) <= link.mtu else { throw .tooBig }
        let addresses = try applyToHeader(of: packet, layout, at: link.headerLength)
        guard layout.kind != .laterFragment else { return packet }
        let offset = Int(layout.transportOffset)
        if isUDP {
            try rewriteUDP(packet, at: offset, addresses, mayHaveNone: !layout.isIPv6)
        } else {
            try rewriteTCP(packet, at: offset, addresses)
        }
        return packet
    }

    /// Rewrites addresses and TTL of the IP header at `offset`, and nothing behind it.
    ///
    /// - Returns: What the addresses change in a checksum.
    @discardableResult
    @inline(__always)
    func applyToHeader(
        of packet: Frame, _ layout: FrameLayout, at offset: Int
    ) throws(DropReason) -> InternetChecksum.Delta {
        layout.isIPv6
            ? try applyIPv6(to: packet, at: offset) : try applyIPv4(to: packet, at: offset)
    }

    @inline(__always)
    private func applyIPv4(
        to packet: Frame, at offset: Int
    ) throws(DropReason) -> InternetChecksum.Delta {
        guard let ip = IPv4Header(in: packet, at: offset) else { throw .malformed }
        guard ip.timeToLive > 1 else { throw .ttlExpired }
        var addresses = InternetChecksum.Delta()
        addresses.replace(ip.source, with: source.lowWord)
        addresses.replace(ip.destination, with: destination.lowWord)
        var header = addresses
        let before = ip.timeToLiveWord
        ip.timeToLive &-= 1
        header.replace(before, with: before &- 0x0100)
        ip.checksum = ip.checksum.applying(header)
        ip.source = source.lowWord
        ip.destination = destination.lowWord
        return addresses
    }

    @inline(__always)
    private func applyIPv6(
        to packet: Frame, at offset: Int
    ) throws(DropReason) -> InternetChecksum.Delta {
        guard let ip = IPv6Header(in: packet, at: offset) else { throw .malformed }
        guard ip.hopLimit > 1 else { throw .ttlExpired }
        var addresses = InternetChecksum.Delta()
        addresses.replace(ip.source, with: source)
        addresses.replace(ip.destination, with: destination)
        ip.hopLimit &-= 1
        ip.source = source
        ip.destination = destination
        return addresses
    }

    @inline(__always)
    private func rewriteTCP(
        _ packet: Frame, at offset: Int, _ addresses: InternetChecksum.Delta
    ) throws(DropReason) {
        guard let tcp = TCPHeader(in: packet, at: offset) else { throw .malformed }
        var delta = addresses
        delta.replace(tcp.sourcePort, with: sourcePort)
        delta.replace(tcp.destinationPort, with: destinationPort)
        tcp.sourcePort = sourcePort
        tcp.destinationPort = destinationPort
        tcp.checksum = tcp.checksum.applying(delta)
    }

    @inline(__always)
    private func rewriteUDP(
        _ packet: Frame, at offset: Int, _ addresses: InternetChecksum.Delta, mayHaveNone: Bool
    ) throws(DropReason) {
        guard let udp = UDPHeader(in: packet, at: offset) else { throw .malformed }
        let before = udp.checksum
        guard before.value != 0 || mayHaveNone else { throw .badChecksum }
        var delta = addresses
        delta.replace(udp.sourcePort, with: sourcePort)
        delta.replace(udp.destinationPort, with: destinationPort)
        udp.sourcePort = sourcePort
        udp.destinationPort = destinationPort
        // 0 means "no checksum" and stays; a sum that computes to 0 is sent as all ones (RFC 768).
        guard before.value != 0 else { return }
        let checksum = before.applying(delta)
        udp.checksum = checksum.value == 0 ? InternetChecksum(0xffff) : checksum
    }
}
