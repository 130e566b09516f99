// SPDX-License-Identifier: Apache-2.0

/// A packet that is made up, to be traced.
public struct ProbePacket: Hashable, Sendable {
    /// Where it comes from and goes; ports are ignored for an echo request.
    public var flow: FiveTuple
    /// Control bits when it is TCP.
    public var flags: TCPFlags
    /// Whether it is an echo request.
    public var isEcho: Bool
    /// Bytes of the IP packet.
    public var byteCount: Int

    /// Least bytes that such a packet has.
    public var leastByteCount: Int {
        let header = flow.source.isIPv4 ? IPv4Header.byteCount : IPv6Header.byteCount
        let isTCP = flow.transportNumber == TransportProtocol.tcp.rawValue && !isEcho
        return header + (isTCP ? TCPHeader.byteCount : UDPHeader.byteCount)
    }

    /// A packet of its parts.
    public init(flow: FiveTuple, flags: TCPFlags, isEcho: Bool, byteCount: Int) {
        self.flow = flow
        self.flags = flags
        self.isEcho = isEcho
        self.byteCount = byteCount
    }

    /// The frame with it, as a router would send it to the interface of a plan: DF set, all
    /// checksums right, data of zeros.
    ///
    /// - Precondition: `byteCount` is at least ``leastByteCount`` and no more than 65 535, and the
    ///   addresses are of one family.
    public func frame(to link: ForwardingPlan.Link) -> [UInt8] {
        precondition(byteCount >= leastByteCount && byteCount <= Int(UInt16.max))
        let isIPv4 = flow.source.isIPv4
        let headerLength = isIPv4 ? IPv4Header.byteCount : IPv6Header.byteCount
        let echo = isIPv4 ? ICMPv4.transport : ICMPv6.transport
        let transport = isEcho ? echo : flow.transportNumber
        var segment = [UInt8](repeating: 0, count: byteCount - headerLength)
        func put(_ value: some FixedWidthInteger, at offset: Int, in bytes: inout [UInt8]) {
            for index in 0..<value.bitWidth / 8 {
                let shift = value.bitWidth - 8 * (index + 1)
                bytes[offset + index] = UInt8(truncatingIfNeeded: value >> shift)
            }
        }
        var checksumOffset = 2
        if isEcho {
            segment[0] = isIPv4 ? ICMPv4.echoRequest : ICMPv6.echoRequest
        } else if transport == TransportProtocol.tcp.rawValue {
            put(flow.ports, at: 0, in: &segment)
            put(0x5000 | UInt16(flags.rawValue), at: 12, in: &segment)
            put(UInt16.max, at: 14, in: &segment)
            checksumOffset = 16
        } else {
            put(flow.ports, at: 0, in: &segment)
            put(UInt16(segment.count), at: 4, in: &segment)
            checksumOffset = 6
        }
        let pseudo =
            isEcho && isIPv4
            ? 0
            : InternetChecksum.pseudoHeaderSum(
                flow.source, flow.destination, length: segment.count, transport: transport)
        let sum = stride(from: 0, to: segment.count, by: 2).reduce(pseudo) { sum, index in
            let low = index + 1 < segment.count ? UInt32(segment[index + 1]) : 0
            return sum &+ UInt32(segment[index]) << 8 &+ low
        }
        let checksum = InternetChecksum(ofSum: sum).value
        put(
            checksum == 0 && checksumOffset == 6 ? 0xffff : checksum, at: checksumOffset,
            in: &segment)

        var ip = [UInt8](repeating: 0, count: headerLength)
        if isIPv4 {
            put(UInt16(0x4500), at: 0, in: &ip)
            put(UInt16(byteCount), at: 2, in: &ip)
            put(IPv4Header.Fragment.dontFragment, at: 6, in: &ip)
            put(UInt16(64) << 8 | UInt16(transport), at: 8, in: &ip)
            put(flow.source.lowWord, at: 12, in: &ip)
            put(flow.destination.lowWord, at: 16, in: &ip)
            let words = stride(from: 0, to: 20, by: 2).reduce(UInt32(0)) {
                $0 &+ UInt32(ip[$1]) << 8 &+ UInt32(ip[$1 + 1])
            }
            put(InternetChecksum(ofSum: words).value, at: 10, in: &ip)
        } else {
            ip[0] = 0x60
            put(UInt16(segment.count), at: 4, in: &ip)
            put(UInt16(transport) << 8 | 64, at: 6, in: &ip)
            ip.replaceSubrange(8..<40, with: flow.source.mappedBytes + flow.destination.mappedBytes)
        }
        let type: [UInt8] = isIPv4 ? [0x08, 0x00] : [0x86, 0xdd]
        var frame = link.mac.bytes
        frame += [0x0a, 0, 0, 0, 0, 1]
        if let vlan = link.vlan { frame += [0x81, 0, UInt8(vlan >> 8), UInt8(vlan & 255)] }
        frame += type
        frame += ip
        return frame + segment
    }
}
