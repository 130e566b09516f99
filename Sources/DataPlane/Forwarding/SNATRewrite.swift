// SPDX-License-Identifier: Apache-2.0

/// `snat`: addresses and ports replaced, checksums adjusted (RFC 3022 §4, RFC 1624).
///
/// Everything else stays: type of service, identification, DF, options, sequence numbers, data. A
/// transport checksum that was wrong stays wrong, so corruption is not laundered.
struct SNATRewrite {
    var source: UInt32
    var sourcePort: UInt16
    var destination: UInt32
    var destinationPort: UInt16

    /// Rewrites the packet in place.
    ///
    /// - Throws: `ttl_expired` when the packet would leave with a TTL of 0 (RFC 1812 §5.3.1),
    ///   `too_big` when it is over the link's MTU, `malformed` for a frame that
    ///   ``FlowParser/parse(_:)`` did not accept.
    @inline(__always)
    func apply(
        to frame: Frame, _ layout: FrameLayout, isUDP: Bool, on link: LinkRecord
    ) throws(DropReason) -> Frame {
        let packet = frame.cut(to: EthernetHeader.byteCount &+ Int(layout.packetLength))
        guard let ip = IPv4Header(in: packet, at: EthernetHeader.byteCount) else {
            throw .malformed
        }
        guard ip.timeToLive > 1 else { throw .ttlExpired }
        guard Int(layout.packetLength) <= link.mtu else { throw .tooBig }

        var addresses = InternetChecksum.Delta()
        addresses.replace(ip.source, with: source)
        addresses.replace(ip.destination, with: destination)
        let transportOffset = Int(layout.transportOffset)
        if isUDP {
            try rewriteUDP(packet, at: transportOffset, addresses)
        } else {
            try rewriteTCP(packet, at: transportOffset, addresses)
        }

        var header = addresses
        let before = ip.timeToLiveWord
        ip.timeToLive &-= 1
        header.replace(before, with: before &- 0x0100)
        ip.checksum = ip.checksum.applying(header)
        ip.source = source
        ip.destination = destination
        return packet
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
        _ packet: Frame, at offset: Int, _ addresses: InternetChecksum.Delta
    ) throws(DropReason) {
        guard let udp = UDPHeader(in: packet, at: offset) else { throw .malformed }
        var delta = addresses
        delta.replace(udp.sourcePort, with: sourcePort)
        delta.replace(udp.destinationPort, with: destinationPort)
        udp.sourcePort = sourcePort
        udp.destinationPort = destinationPort
        // 0 means "no checksum" and stays; a sum that computes to 0 is sent as all ones (RFC 768).
        guard udp.checksum.value != 0 else { return }
        let checksum = udp.checksum.applying(delta)
        udp.checksum = checksum.value == 0 ? InternetChecksum(0xffff) : checksum
    }
}
