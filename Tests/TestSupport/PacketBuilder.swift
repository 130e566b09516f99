// SPDX-License-Identifier: Apache-2.0
internal import DataPlane

/// Checksums word by word, written apart from the code under test (RFC 1071 §4.1).
public enum SlowChecksum {
    /// The one's-complement sum of all words, complemented.
    public static func of(_ bytes: [UInt8]) -> UInt16 {
        var sum = 0
        for index in stride(from: 0, to: bytes.count, by: 2) {
            sum += Int(bytes[index]) * 256 + (index + 1 < bytes.count ? Int(bytes[index + 1]) : 0)
        }
        while sum > 0xffff { sum = sum % 0x10000 + sum / 0x10000 }
        return UInt16(0xffff - sum)
    }

    /// The checksum of a transport segment with its pseudo header, the field itself counted as it
    /// is: 0 when it is right.
    ///
    /// Of an IPv6 packet the transport header must follow the fixed one.
    public static func ofTransport(_ packet: [UInt8]) -> UInt16 {
        if packet[0] >> 4 == 6 {
            let segment = Array(packet[40..<40 + Int(packet[4]) * 256 + Int(packet[5])])
            return of(segment, from: packet[8..<24], to: packet[24..<40], packet[6])
        }
        let header = Int(packet[0] & 15) * 4
        let length = Int(packet[2]) * 256 + Int(packet[3])
        return of(
            Array(packet[header..<length]), from: packet[12..<16], to: packet[16..<20], packet[9])
    }

    /// The checksum of a segment between two addresses of either family.
    static func of(
        _ segment: [UInt8], from source: some Collection<UInt8>,
        to destination: some Collection<UInt8>, _ transport: UInt8
    ) -> UInt16 {
        let length = [UInt8(segment.count / 256), UInt8(segment.count % 256)]
        return of(Array(source) + Array(destination) + [0, transport] + length + segment)
    }
}

/// Builds frames for tests: every field can be set, checksums are right unless told otherwise.
///
/// The family is that of the source address.
public struct PacketBuilder: Sendable {
    /// Destination of the Ethernet header.
    public var destinationMAC: [UInt8] = [2, 0, 0, 0, 0, 1]
    /// Source of the Ethernet header.
    public var sourceMAC: [UInt8] = [2, 0, 0, 0, 0, 0x63]
    /// Source address.
    public var source = "10.0.0.9"
    /// Destination address.
    public var destination = "40.1.1.1"
    /// Source port.
    public var sourcePort: UInt16 = 4444
    /// Destination port.
    public var destinationPort: UInt16 = 80
    /// TCP with these flags; `nil` means UDP.
    public var tcpFlags: UInt8? = 0x02
    /// Type of service.
    public var typeOfService: UInt8 = 0
    /// Flags and fragment offset.
    public var fragment: UInt16 = 0x4000
    /// Identification.
    public var identification: UInt16 = 0x1234
    /// Time to live.
    public var timeToLive: UInt8 = 64
    /// Options of the IPv4 header, a multiple of four bytes.
    public var options: [UInt8] = []
    /// Extension headers of IPv6: type, and bytes after the first, which is filled in.
    public var extensions: [(type: UInt8, bytes: [UInt8])] = []
    /// An ICMP message in place of a segment: type, code, and the four bytes after the checksum.
    public var icmp: (type: UInt8, code: UInt8, rest: [UInt8])?
    /// The VLAN of the frame.
    public var vlan: UInt16?
    /// Data after the transport header.
    public var payload: [UInt8] = [1, 2, 3]
    /// Whether UDP goes without a checksum.
    public var omitsUDPChecksum = false
    /// Bytes after the packet, as Ethernet pads.
    public var trailer: [UInt8] = []

    /// A TCP SYN from 10.0.0.9:4444 to 40.1.1.1:80.
    public init() {}

    /// The answer to an IPv4 frame without options: addresses and ports of TCP turned round.
    public static func answer(to frame: [UInt8], flags: UInt8) -> PacketBuilder {
        func address(_ offset: Int) -> String {
            frame[offset..<offset + 4].map(String.init).joined(separator: ".")
        }
        return PacketBuilder().with {
            $0.source = address(30)
            $0.destination = address(26)
            $0.sourcePort = UInt16(frame[36]) << 8 | UInt16(frame[37])
            $0.destinationPort = UInt16(frame[34]) << 8 | UInt16(frame[35])
            $0.tcpFlags = flags
        }
    }

    /// A copy with some fields changed.
    public func with(_ change: (inout PacketBuilder) -> Void) -> PacketBuilder {
        var copy = self
        change(&copy)
        return copy
    }

    /// The frame.
    public var frame: [UInt8] {
        let tag = vlan.map { [0x81, 0] + Self.bytes($0) } ?? []
        let type: [UInt8] = isIPv6 ? [0x86, 0xdd] : [8, 0]
        return destinationMAC + sourceMAC + tag + type + packet + trailer
    }

    private var isIPv6: Bool { source.contains(":") }

    private var transportNumber: UInt8 {
        if icmp != nil { return isIPv6 ? 58 : 1 }
        return tcpFlags == nil ? 17 : 6
    }

    /// The IP packet.
    public var packet: [UInt8] { isIPv6 ? ipv6Packet : ipv4Packet }

    private var ipv4Packet: [UInt8] {
        let segment = transport
        let header = 20 + options.count
        var ip: [UInt8] = [0x40 | UInt8(header / 4), typeOfService]
        ip += Self.bytes(UInt16(header + segment.count)) + Self.bytes(identification)
        ip += Self.bytes(fragment) + [timeToLive, transportNumber, 0, 0]
        ip += Self.address(source) + Self.address(destination) + options
        ip.replaceSubrange(10..<12, with: Self.bytes(SlowChecksum.of(ip)))
        return ip + segment
    }

    private var ipv6Packet: [UInt8] {
        let types = extensions.map(\.type) + [transportNumber]
        var rest: [UInt8] = []
        for (index, header) in extensions.enumerated() {
            rest += [types[index + 1]] + header.bytes
        }
        rest += transport
        var ip: [UInt8] = [0x60 | typeOfService >> 4, typeOfService << 4, 0x12, 0x34]
        ip += Self.bytes(UInt16(rest.count)) + [types[0], timeToLive]
        return ip + Self.address(source) + Self.address(destination) + rest
    }

    /// The transport header with its data, checksum included.
    public var transport: [UInt8] {
        var segment: [UInt8]
        let place: Int
        if let icmp {
            segment = [icmp.type, icmp.code, 0, 0] + icmp.rest + payload
            place = 2
        } else if let flags = tcpFlags {
            segment = Self.bytes(sourcePort) + Self.bytes(destinationPort)
            segment += [0, 0, 0, 1, 0, 0, 0, 2, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0] + payload
            place = 16
        } else {
            segment = Self.bytes(sourcePort) + Self.bytes(destinationPort)
            segment += Self.bytes(UInt16(8 + payload.count)) + [0, 0] + payload
            place = 6
        }
        if tcpFlags == nil && icmp == nil && omitsUDPChecksum { return segment }
        var sum = SlowChecksum.of(
            segment, from: Self.address(source), to: Self.address(destination), transportNumber)
        if transportNumber == 1 { sum = SlowChecksum.of(segment) }
        if transportNumber == 17, sum == 0 { sum = 0xffff }
        segment.replaceSubrange(place..<place + 2, with: Self.bytes(sum))
        return segment
    }

    /// The packet in pieces of at most `byteCount` bytes of data each, a multiple of 8.
    public func fragments(of byteCount: Int) -> [[UInt8]] {
        let whole = transport
        return stride(from: 0, to: whole.count, by: byteCount).map { start in
            let end = min(start + byteCount, whole.count)
            let more = end < whole.count
            let head = Array(frame[..<14])
            if isIPv6 {
                var ip = Array(ipv6Packet[..<40])
                ip.replaceSubrange(4..<6, with: Self.bytes(UInt16(8 + end - start)))
                ip[6] = 44
                let offset = UInt16(start) | (more ? 1 : 0)
                let header = [transportNumber, 0] + Self.bytes(offset) + [0, 0]
                return head + ip + header + Self.bytes(identification) + whole[start..<end]
            }
            var ip = Array(ipv4Packet[..<20])
            ip.replaceSubrange(2..<4, with: Self.bytes(UInt16(20 + end - start)))
            ip.replaceSubrange(6..<8, with: Self.bytes(UInt16(start / 8) | (more ? 0x2000 : 0)))
            ip.replaceSubrange(10..<12, with: [0, 0])
            ip.replaceSubrange(10..<12, with: Self.bytes(SlowChecksum.of(ip)))
            return head + ip + whole[start..<end]
        }
    }

    private static func bytes(_ value: UInt16) -> [UInt8] {
        [UInt8(value >> 8), UInt8(value & 255)]
    }

    private static func address(_ text: String) -> [UInt8] {
        IPAddress(text)?.bytes ?? [0, 0, 0, 0]
    }
}
