// SPDX-License-Identifier: Apache-2.0
internal import DataPlane

/// A packet inside the tunnel, from the load balancer to a VIP and back.
struct InnerPacket: Equatable {
    static let tcp: UInt8 = 6
    static let udp: UInt8 = 17
    static let icmpv4: UInt8 = 1
    static let icmpv6: UInt8 = 58

    var source: IPAddress
    var destination: IPAddress
    var transport: UInt8
    /// Transport header and data.
    var payload: [UInt8]

    /// The IP packet: DF set, TTL 64.
    var bytes: [UInt8] {
        var packet = WireBytes()
        if source.family == .ipv4 {
            packet.put(UInt16(0x4500))
            packet.put(UInt16(20 + payload.count))
            packet.put(UInt16(0))
            packet.put(UInt16(0x4000))
            packet.put(UInt8(64))
            packet.put(transport)
            packet.put(UInt16(0))
            packet.bytes += source.bytes + destination.bytes
            packet.set(WireBytes.checksum(packet.bytes), at: 10)
        } else {
            packet.put(UInt32(0x6000_0000))
            packet.put(UInt16(payload.count))
            packet.put(transport)
            packet.put(UInt8(64))
            packet.bytes += source.bytes + destination.bytes
        }
        return packet.bytes + payload
    }

    /// A packet of its parts, its transport checksum filled in at `checksumOffset` of the payload.
    init(
        _ source: IPAddress, _ destination: IPAddress, _ transport: UInt8, _ payload: [UInt8],
        checksumOffset: Int
    ) {
        self.source = source
        self.destination = destination
        self.transport = transport
        let covered =
            transport == Self.icmpv4
            ? []
            : WireBytes.pseudoHeader(source, destination, transport, payload.count)
        var filled = WireBytes(bytes: payload)
        let sum = WireBytes.checksum(covered + payload)
        filled.set(sum == 0 && transport == Self.udp ? 0xffff : sum, at: checksumOffset)
        self.payload = filled.bytes
    }

    /// Reads an IP packet as it came from the network; `nil` when it is none of a transport that is
    /// probed with, or a fragment.
    ///
    /// Checksums are not looked at: on a virtual link they may be left for the NIC to fill in.
    init?(_ bytes: ArraySlice<UInt8>) {
        guard let first = bytes.first else { return nil }
        let headerLength: Int
        let length: Int
        if first >> 4 == 4 {
            headerLength = Int(first & 15) * 4
            guard headerLength >= 20, bytes.count >= headerLength else { return nil }
            length = Int(WireBytes.number(bytes, at: 2, as: UInt16.self))
            let fragment: UInt16 = WireBytes.number(bytes, at: 6)
            guard fragment & 0x3fff == 0 else { return nil }
            transport = bytes[bytes.startIndex + 9]
        } else {
            headerLength = 40
            guard first >> 4 == 6, bytes.count >= headerLength else { return nil }
            length = 40 + Int(WireBytes.number(bytes, at: 4, as: UInt16.self))
            transport = bytes[bytes.startIndex + 6]
        }
        guard length >= headerLength, bytes.count >= length else { return nil }
        let start = bytes.startIndex + (first >> 4 == 4 ? 12 : 8)
        let size = first >> 4 == 4 ? 4 : 16
        guard let source = IPAddress(bytes: bytes[start..<start + size]),
            let destination = IPAddress(bytes: bytes[start + size..<start + 2 * size])
        else { return nil }
        self.source = source
        self.destination = destination
        payload = Array(bytes[(bytes.startIndex + headerLength)..<(bytes.startIndex + length)])
    }
}
