// SPDX-License-Identifier: Apache-2.0
internal import DataPlane

/// Bytes of a packet as it is put together, in network order.
struct WireBytes {
    var bytes: [UInt8] = []

    mutating func put(_ value: some FixedWidthInteger) {
        for shift in stride(from: value.bitWidth - 8, through: 0, by: -8) {
            bytes.append(UInt8(truncatingIfNeeded: value >> shift))
        }
    }

    mutating func set(_ value: UInt16, at offset: Int) {
        bytes[offset] = UInt8(value >> 8)
        bytes[offset + 1] = UInt8(truncatingIfNeeded: value)
    }

    /// The number of a type at an offset.
    ///
    /// - Precondition: the bytes are there.
    static func number<T: FixedWidthInteger>(
        _ bytes: ArraySlice<UInt8>, at offset: Int, as type: T.Type = T.self
    ) -> T {
        bytes[(bytes.startIndex + offset)...].prefix(T.bitWidth / 8)
            .reduce(0) { $0 << 8 | T(truncatingIfNeeded: $1) }
    }

    /// The Internet checksum (RFC 1071), an odd last byte as if a 0 followed.
    static func checksum(_ bytes: [UInt8]) -> UInt16 {
        var sum: UInt32 = 0
        for (index, byte) in bytes.enumerated() {
            sum += index % 2 == 0 ? UInt32(byte) << 8 : UInt32(byte)
        }
        while sum > 0xffff { sum = sum & 0xffff + sum >> 16 }
        return ~UInt16(sum)
    }

    /// What the checksum of a transport header covers besides it (RFC 9293 §3.1, RFC 8200 §8.1).
    static func pseudoHeader(
        _ source: IPAddress, _ destination: IPAddress, _ transport: UInt8, _ count: Int
    ) -> [UInt8] {
        var bytes = WireBytes(bytes: source.bytes + destination.bytes)
        bytes.put(UInt32(count))
        bytes.put(UInt32(transport))
        return bytes.bytes
    }
}
