// SPDX-License-Identifier: Apache-2.0
internal import DataPlane

/// A TCP segment without options, in an IP packet: what a probe sends.
struct AttemptSegment {
    var source: IPAddress
    var sourcePort: UInt16
    /// Of the same family as the source.
    var destination: IPAddress
    var destinationPort: UInt16
    var sequence: UInt32
    var flags: TCPFlags
    /// Zeros after the header.
    var dataByteCount = 0

    private static let tcp: UInt8 = 6
    /// Bytes of the TCP header.
    private static let headerByteCount = 20

    /// Bytes of the headers of a family.
    static func overhead(_ family: AddressFamily) -> Int {
        (family == .ipv4 ? 20 : 40) + headerByteCount
    }

    /// The packet, DF set, both checksums right.
    var packet: [UInt8] {
        var segment = Self.bytes(sourcePort) + Self.bytes(destinationPort)
        segment += Self.bytes(sequence) + Self.bytes(UInt32(0))
        segment += Self.bytes(0x5000 | UInt16(flags.rawValue)) + Self.bytes(UInt16.max)
        segment += Self.bytes(UInt32(0)) + [UInt8](repeating: 0, count: dataByteCount)
        // The pseudo headers of both families have the same sum (RFC 8200 §8.1).
        let pseudo =
            source.bytes + destination.bytes + Self.bytes(UInt32(segment.count))
            + [0, 0, 0, Self.tcp]
        segment.replaceSubrange(16..<18, with: Self.bytes(Self.checksum(pseudo + segment)))
        return ipHeader(segment.count) + segment
    }

    private func ipHeader(_ length: Int) -> [UInt8] {
        let hops: UInt8 = 64
        guard source.family == .ipv4 else {
            return [0x60, 0, 0, 0] + Self.bytes(UInt16(length)) + [Self.tcp, hops]
                + source.bytes + destination.bytes
        }
        var header: [UInt8] = [0x45, 0] + Self.bytes(UInt16(20 + length))
        header += [0, 0, 0x40, 0, hops, Self.tcp, 0, 0] + source.bytes + destination.bytes
        header.replaceSubrange(10..<12, with: Self.bytes(Self.checksum(header)))
        return header
    }

    private static func bytes<Number: FixedWidthInteger>(_ number: Number) -> [UInt8] {
        (0..<Number.bitWidth / 8).reversed().map { UInt8(truncatingIfNeeded: number >> ($0 * 8)) }
    }

    /// The checksum of RFC 1071, by its definition.
    private static func checksum(_ bytes: [UInt8]) -> UInt16 {
        var sum: UInt32 = 0
        for index in stride(from: 0, to: bytes.count, by: 2) {
            let low = index + 1 < bytes.count ? UInt32(bytes[index + 1]) : 0
            sum += UInt32(bytes[index]) << 8 | low
            sum = sum & 0xffff + sum >> 16
        }
        return ~UInt16(truncatingIfNeeded: sum)
    }
}

/// The answer to a probe's SYN.
struct AttemptReply: Equatable {
    let flags: TCPFlags
    let acknowledgement: UInt32

    /// Reads an IP packet; `nil` when it has no TCP header.
    init?(_ packet: some Collection<UInt8>) {
        let bytes = Array(packet.prefix(120))
        guard let first = bytes.first else { return nil }
        let offset = first >> 4 == 4 ? Int(first & 0xf) * 4 : 40
        guard bytes.count >= offset + 20 else { return nil }
        acknowledgement = bytes[(offset + 8)..<(offset + 12)].reduce(0) { $0 << 8 | UInt32($1) }
        flags = TCPFlags(rawValue: bytes[offset + 13])
    }

    /// What it says to a SYN of a sequence number and so many bytes of data; `nil` when it is none
    /// to that one.
    func outcome(toSYN sequence: UInt32, dataByteCount: Int, after time: Duration)
        -> AttemptOutcome?
    {
        // A listener acknowledges the SYN, and the data too when it takes any (RFC 7413).
        let first = sequence &+ 1
        guard flags.contains(.ack), acknowledgement &- first <= UInt32(dataByteCount) else {
            return nil
        }
        if flags.contains(.rst) { return .refused }
        return flags.contains(.syn) ? .answered(in: time) : nil
    }
}
