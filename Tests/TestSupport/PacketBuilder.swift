// SPDX-License-Identifier: Apache-2.0
public import DataPlane

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
    public static func ofTransport(_ packet: [UInt8]) -> UInt16 {
        let header = Int(packet[0] & 15) * 4
        let length = Int(packet[2]) * 256 + Int(packet[3]) - header
        let pseudo =
            Array(packet[12..<20]) + [0, packet[9], UInt8(length / 256), UInt8(length % 256)]
        return of(pseudo + Array(packet[header..<header + length]))
    }
}

/// Builds IPv4 frames for tests: every field can be set, checksums are right unless told otherwise.
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
    /// Data after the transport header.
    public var payload: [UInt8] = [1, 2, 3]
    /// Whether UDP goes without a checksum.
    public var omitsUDPChecksum = false
    /// Bytes after the packet, as Ethernet pads.
    public var trailer: [UInt8] = []

    /// A TCP SYN from 10.0.0.9:4444 to 40.1.1.1:80.
    public init() {}

    /// A copy with some fields changed.
    public func with(_ change: (inout PacketBuilder) -> Void) -> PacketBuilder {
        var copy = self
        change(&copy)
        return copy
    }

    /// The frame.
    public var frame: [UInt8] { destinationMAC + sourceMAC + [8, 0] + packet + trailer }

    /// The IP packet.
    public var packet: [UInt8] {
        var segment = transport
        let header = 20 + options.count
        var ip: [UInt8] = [0x40 | UInt8(header / 4), typeOfService]
        ip += Self.bytes(UInt16(header + segment.count)) + Self.bytes(identification)
        ip += Self.bytes(fragment) + [timeToLive, tcpFlags == nil ? 17 : 6, 0, 0]
        ip += Self.address(source) + Self.address(destination) + options
        ip.replaceSubrange(10..<12, with: Self.bytes(SlowChecksum.of(ip)))
        if !(tcpFlags == nil && omitsUDPChecksum) {
            let place = tcpFlags == nil ? 6 : 16
            var sum = SlowChecksum.ofTransport(ip + segment)
            if tcpFlags == nil, sum == 0 { sum = 0xffff }
            segment.replaceSubrange(place..<place + 2, with: Self.bytes(sum))
        }
        return ip + segment
    }

    private var transport: [UInt8] {
        let ports = Self.bytes(sourcePort) + Self.bytes(destinationPort)
        guard let flags = tcpFlags else {
            return ports + Self.bytes(UInt16(8 + payload.count)) + [0, 0] + payload
        }
        return ports + [0, 0, 0, 1, 0, 0, 0, 2, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0] + payload
    }

    private static func bytes(_ value: UInt16) -> [UInt8] {
        [UInt8(value >> 8), UInt8(value & 255)]
    }

    private static func address(_ text: String) -> [UInt8] {
        IPv4Address(text).map { IPAddress($0).bytes } ?? [0, 0, 0, 0]
    }
}
