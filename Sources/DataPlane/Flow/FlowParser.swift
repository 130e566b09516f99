// SPDX-License-Identifier: Apache-2.0

/// Where the layers of a frame start, and what later passes need of its headers.
struct FrameLayout: BitwiseCopyable {
    /// Offset of the transport header from the start of the frame, in bytes.
    var transportOffset: UInt16 = 0
    /// Bytes of the IP packet, headers included; the frame may be longer (Ethernet padding).
    var packetLength: UInt16 = 0
    /// Control bits of a TCP segment; empty for UDP.
    var tcpFlags = TCPFlags(rawValue: 0)
    var typeOfService: UInt8 = 0
    /// IPv4 flags; see ``IPv4Header/Fragment``.
    var fragment: UInt16 = 0
}

/// What the first pass finds in a frame.
struct ParsedFrame: BitwiseCopyable {
    var flow: FiveTuple
    var layout: FrameLayout
}

/// Bytes → five-tuple.
///
/// Takes nothing on trust: each length is compared with the bytes that are there, in the order of
/// the layers. IPv6, ICMP and fragments have their own files beside this one.
enum FlowParser {
    /// The five-tuple and layout of an Ethernet frame.
    ///
    /// - Throws: `not_ip` for what steering should have left to the kernel, `malformed` when a
    ///   header contradicts the frame, `bad_checksum` for the IPv4 header's, `bad_source` when the
    ///   source cannot be a client, `fragment` for part of a larger packet.
    @inline(__always)
    static func parse(_ frame: Frame) throws(DropReason) -> ParsedFrame {
        guard let ethernet = EthernetHeader(in: frame) else { throw .malformed }
        guard ethernet.type == EthernetHeader.EtherType.ipv4 else { throw .notIP }
        return try parseIPv4(frame)
    }

    @inline(__always)
    private static func parseIPv4(_ frame: Frame) throws(DropReason) -> ParsedFrame {
        let offset = EthernetHeader.byteCount
        guard let ip = IPv4Header(in: frame, at: offset), ip.version == 4 else { throw .malformed }
        let headerLength = ip.headerLength
        let packetLength = Int(ip.totalLength)
        guard headerLength >= IPv4Header.byteCount, packetLength >= headerLength,
            offset &+ packetLength <= frame.length
        else { throw .malformed }
        if headerLength == IPv4Header.byteCount {
            guard ip.hasValidChecksumWithoutOptions else { throw .badChecksum }
        } else {
            guard
                IPv4Header.hasValidChecksum(in: frame, at: offset, headerLength: headerLength)
            else { throw .badChecksum }
            try IPv4Options.check(in: frame, at: offset, headerLength: headerLength)
        }
        let fragment = ip.fragment
        guard fragment & IPv4Header.Fragment.mask == 0 else { throw .fragment }
        let source = ip.source
        let destination = ip.destination
        guard source != destination, canBeClient(source) else { throw .badSource }

        let transportOffset = offset &+ headerLength
        var layout = FrameLayout(
            transportOffset: UInt16(truncatingIfNeeded: transportOffset),
            packetLength: ip.totalLength, typeOfService: ip.typeOfService, fragment: fragment)
        let ports = try transportPorts(
            ip.transport, of: frame.cut(to: offset &+ packetLength), at: transportOffset, &layout)
        return ParsedFrame(
            flow: FiveTuple(
                source: IPAddress(IPv4Address(source)),
                destination: IPAddress(IPv4Address(destination)), ports: ports,
                transport: ip.transport),
            layout: layout)
    }

    /// Both ports of a TCP or UDP header in a frame that ends where its packet ends.
    @inline(__always)
    private static func transportPorts(
        _ transport: UInt8, of packet: Frame, at offset: Int, _ layout: inout FrameLayout
    ) throws(DropReason) -> UInt32 {
        if transport == TransportProtocol.tcp.rawValue {
            guard let tcp = TCPHeader(in: packet, at: offset) else { throw .malformed }
            let headerLength = tcp.headerLength
            guard headerLength >= TCPHeader.byteCount, offset &+ headerLength <= packet.length
            else { throw .malformed }
            layout.tcpFlags = tcp.flags
            return tcp.ports
        }
        guard transport == TransportProtocol.udp.rawValue else { throw .notIP }
        guard let udp = UDPHeader(in: packet, at: offset) else { throw .malformed }
        let length = Int(udp.length)
        guard length >= UDPHeader.byteCount, offset &+ length <= packet.length
        else { throw .malformed }
        return udp.ports
    }

    /// Whether a host may use `source` (RFC 1122 §3.2.1.3): not "this network", loopback,
    /// multicast, reserved or broadcast.
    @inline(__always)
    private static func canBeClient(_ source: UInt32) -> Bool {
        let first = source >> 24
        return first != 0 && first != 127 && first < 224
    }
}

/// The options of an IPv4 header (RFC 791 §3.1).
enum IPv4Options {
    private static let endOfList: UInt8 = 0
    private static let noOperation: UInt8 = 1
    private static let looseSourceRoute: UInt8 = 131
    private static let strictSourceRoute: UInt8 = 137

    /// Walks the options once.
    ///
    /// - Throws: `options` for a source route, which RFC 7126 §4.3 says to drop, and for a length
    ///   that leaves the header or does not move on.
    static func check(in frame: Frame, at offset: Int, headerLength: Int) throws(DropReason) {
        guard let header = frame.bytes(at: offset, count: headerLength) else { throw .malformed }
        var position = IPv4Header.byteCount
        while position < headerLength {
            let kind: UInt8 = header.load(position)
            if kind == endOfList { return }
            if kind == noOperation {
                position += 1
                continue
            }
            guard kind != looseSourceRoute, kind != strictSourceRoute, position + 1 < headerLength
            else { throw .options }
            let length = Int(header.load(position + 1, as: UInt8.self))
            guard length >= 2, position + length <= headerLength else { throw .options }
            position += length
        }
    }
}
