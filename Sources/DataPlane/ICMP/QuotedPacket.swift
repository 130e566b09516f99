// SPDX-License-Identifier: Apache-2.0

/// The packet that an ICMP error quotes: its IP header and the first bytes of its data.
struct QuotedPacket {
    /// As it was sent: from whom the error is told to, to whom it could not get.
    var flow: FiveTuple
    /// Offsets from the start of the frame.
    var offset: Int
    var transportOffset: Int
    var isIPv6: Bool

    /// `nil` when the quote is cut before the ports, or is none of a first fragment or whole
    /// packet of TCP or UDP.
    ///
    /// - Parameters:
    ///   - packet: A frame that ends where its packet ends.
    ///   - offset: Where the quote begins.
    ///   - isIPv6: The family of the error, which the quote shares.
    init?(in packet: Frame, at offset: Int, isIPv6: Bool) {
        self.offset = offset
        self.isIPv6 = isIPv6
        let source: IPAddress
        let destination: IPAddress
        var transport: UInt8
        if isIPv6 {
            guard let ip = IPv6Header(in: packet, at: offset), ip.version == 6 else { return nil }
            source = ip.source
            destination = ip.destination
            transport = ip.nextHeader
            guard
                let end = Self.skipExtensions(
                    &transport, in: packet, from: offset + IPv6Header.byteCount)
            else { return nil }
            transportOffset = end
        } else {
            guard let ip = IPv4Header(in: packet, at: offset), ip.version == 4,
                ip.headerLength >= IPv4Header.byteCount,
                FragmentPosition(ipv4: ip.fragment).offset == 0
            else { return nil }
            source = IPAddress(IPv4Address(ip.source))
            destination = IPAddress(IPv4Address(ip.destination))
            transport = ip.transport
            transportOffset = offset + ip.headerLength
        }
        guard TransportProtocol(rawValue: transport) != nil,
            let udp = UDPHeader(in: packet, at: transportOffset)
        else { return nil }
        flow = FiveTuple(
            source: source, destination: destination, ports: udp.ports, transport: transport)
    }

    /// Where the transport header begins; `nil` when it is not in the quote.
    private static func skipExtensions(
        _ transport: inout UInt8, in packet: Frame, from start: Int
    ) -> Int? {
        var offset = start
        for _ in 0..<IPv6Extension.walkLimit {
            guard IPv6Extension.isExtension(transport) else { return offset }
            guard let header = packet.bytes(at: offset, count: 8) else { return nil }
            var length = (Int(header.load(1, as: UInt8.self)) + 1) * 8
            if transport == IPv6Extension.fragment {
                guard FragmentPosition(ipv6: header.load(2)).offset == 0 else { return nil }
                length = 8
            } else if transport == IPv6Extension.authentication {
                length = (Int(header.load(1, as: UInt8.self)) + 2) * 4
            }
            transport = header.load(0)
            offset += length
        }
        return nil
    }

    /// Puts another flow in the place of the quoted one, checksums included (RFC 5508 §4.2).
    ///
    /// A transport checksum is adjusted when the quote has it. The checksum of the error itself is
    /// left to the caller.
    func rewrite(in packet: Frame, to other: FiveTuple) {
        var addresses = InternetChecksum.Delta()
        if isIPv6 {
            guard let ip = IPv6Header(in: packet, at: offset) else { return }
            addresses.replace(ip.source, with: other.source)
            addresses.replace(ip.destination, with: other.destination)
            ip.source = other.source
            ip.destination = other.destination
        } else {
            guard let ip = IPv4Header(in: packet, at: offset) else { return }
            addresses.replace(ip.source, with: other.source.lowWord)
            addresses.replace(ip.destination, with: other.destination.lowWord)
            ip.source = other.source.lowWord
            ip.destination = other.destination.lowWord
            ip.checksum = ip.checksum.applying(addresses)
        }
        guard let udp = UDPHeader(in: packet, at: transportOffset) else { return }
        addresses.replace(udp.sourcePort, with: other.sourcePort)
        addresses.replace(udp.destinationPort, with: other.destinationPort)
        udp.sourcePort = other.sourcePort
        udp.destinationPort = other.destinationPort
        if flow.transportNumber == TransportProtocol.udp.rawValue {
            guard udp.checksum.value != 0 else { return }
            let checksum = udp.checksum.applying(addresses)
            udp.checksum = checksum.value == 0 ? InternetChecksum(0xffff) : checksum
        } else if let tcp = TCPHeader(in: packet, at: transportOffset) {
            tcp.checksum = tcp.checksum.applying(addresses)
        }
    }
}

extension FiveTuple {
    /// The flow in the other direction.
    var reversed: FiveTuple {
        FiveTuple(
            source: destination, destination: source,
            ports: UInt32(destinationPort) << 16 | UInt32(sourcePort), transport: transportNumber)
    }
}
