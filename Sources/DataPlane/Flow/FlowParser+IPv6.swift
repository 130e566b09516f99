// SPDX-License-Identifier: Apache-2.0

/// The headers between IPv6 and the transport header (RFC 8200 §4).
enum IPv6Extension {
    static let hopByHop: UInt8 = 0
    static let routing: UInt8 = 43
    static let fragment: UInt8 = 44
    static let authentication: UInt8 = 51
    static let destination: UInt8 = 60
    /// Most headers that are walked: more than any sender has a use for.
    static let walkLimit = 16

    /// Whether more headers may follow a header of this type.
    @inline(__always)
    static func isExtension(_ type: UInt8) -> Bool {
        type == hopByHop || type == routing || type == fragment || type == authentication
            || type == destination
    }
}

extension FlowParser {
    @inline(__always)
    static func parseIPv6(_ frame: Frame, at offset: Int) throws(DropReason) -> ParsedFrame {
        guard let ip = IPv6Header(in: frame, at: offset), ip.version == 6 else { throw .malformed }
        let packetLength = IPv6Header.byteCount &+ Int(ip.payloadLength)
        // A length of 0 announces a jumbogram (RFC 2675), which no Ethernet frame holds.
        guard ip.payloadLength > 0, offset &+ packetLength <= frame.length,
            packetLength <= UInt16.max
        else { throw .malformed }
        let source = ip.source
        let destination = ip.destination
        guard source != destination, canBeClient(source) else { throw .badSource }

        let packet = frame.cut(to: offset &+ packetLength)
        var layout = FrameLayout(
            transportOffset: UInt16(truncatingIfNeeded: offset &+ IPv6Header.byteCount),
            packetLength: UInt16(truncatingIfNeeded: packetLength),
            fragment: IPv4Header.Fragment.dontFragment, typeOfService: ip.trafficClass,
            isIPv6: true)
        var transport = ip.nextHeader
        var ports: UInt32 = 0
        if IPv6Extension.isExtension(transport) {
            ports = try walk(&transport, of: packet, &layout)
        } else {
            ports = try transportPorts(transport, of: packet, &layout)
        }
        return ParsedFrame(
            flow: FiveTuple(
                source: source, destination: destination, ports: ports, transport: transport),
            layout: layout)
    }

    /// Walks the extension headers up to the transport header, or to the end of what a later
    /// fragment has of them.
    @inline(never)
    private static func walk(
        _ transport: inout UInt8, of packet: Frame, _ layout: inout FrameLayout
    ) throws(DropReason) -> UInt32 {
        var position: FragmentPosition?
        for index in 0..<IPv6Extension.walkLimit {
            guard IPv6Extension.isExtension(transport) else { break }
            let offset = Int(layout.transportOffset)
            guard let header = packet.bytes(at: offset, count: 8) else { throw .malformed }
            var length = (Int(header.load(1, as: UInt8.self)) &+ 1) &* 8
            switch transport {
            case IPv6Extension.fragment:
                length = 8
                let found = FragmentPosition(ipv6: header.load(2))
                layout.fragmentHeaderOffset = UInt16(truncatingIfNeeded: offset)
                guard position == nil else { throw .malformed }
                if !found.isWhole { position = found }
            case IPv6Extension.authentication:
                length = (Int(header.load(1, as: UInt8.self)) &+ 2) &* 4
            case IPv6Extension.routing:
                // Segments left: it has not arrived yet, and type 0 never may (RFC 5095).
                guard header.load(3, as: UInt8.self) == 0 else { throw .options }
            case IPv6Extension.hopByHop:
                guard index == 0 else { throw .options }
                try checkOptions(of: packet, at: offset, length: length)
            default:
                try checkOptions(of: packet, at: offset, length: length)
            }
            guard offset &+ length <= packet.length else { throw .malformed }
            transport = header.load(0)
            layout.transportOffset = UInt16(truncatingIfNeeded: offset &+ length)
            if let position, position.offset > 0 { break }
        }
        if let position {
            return try fragmentPorts(transport, of: packet, position, &layout)
        }
        guard !IPv6Extension.isExtension(transport) else { throw .options }
        return try transportPorts(transport, of: packet, &layout)
    }

    /// Walks the options of a hop-by-hop or destination header once (RFC 8200 §4.2).
    private static func checkOptions(
        of packet: Frame, at offset: Int, length: Int
    ) throws(DropReason) {
        guard let header = packet.bytes(at: offset, count: length) else { throw .malformed }
        let padding: UInt8 = 0
        let jumbo: UInt8 = 0xc2
        var position = 2
        while position < length {
            let kind: UInt8 = header.load(position)
            if kind == padding {
                position &+= 1
                continue
            }
            guard kind != jumbo else { throw .malformed }
            guard position &+ 1 < length else { throw .options }
            position &+= 2 &+ Int(header.load(position &+ 1, as: UInt8.self))
            guard position <= length else { throw .options }
        }
    }

    /// Whether a host may use `source` (RFC 4291 §2.5): not unspecified, loopback, multicast or
    /// the mapped form of an IPv4 address.
    @inline(__always)
    static func canBeClient(_ source: IPAddress) -> Bool {
        if source.high == 0 {
            return source.low > 1 && source.low >> 32 != 0xffff
        }
        return source.high >> 56 != 0xff
    }
}
