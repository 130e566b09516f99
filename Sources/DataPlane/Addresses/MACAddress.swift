// SPDX-License-Identifier: Apache-2.0

/// A 48-bit Ethernet address (IEEE 802).
///
/// Held as two words in the byte order of the wire, so that writing one into a frame is two stores.
public struct MACAddress: Hashable, Sendable, BitwiseCopyable {
    /// Bytes 0–3 and 4–5 as they lie in memory.
    let head: UInt32
    let tail: UInt16

    /// An address of all zeros, which no frame should carry.
    public static let zero = MACAddress(head: 0, tail: 0)

    init(head: UInt32, tail: UInt16) {
        self.head = head
        self.tail = tail
    }

    /// Takes the first six bytes of `bytes`; `nil` when there are fewer.
    public init?(bytes: some Collection<UInt8>) {
        var bytes = bytes.makeIterator()
        var value: UInt64 = 0
        for position in 0..<6 {
            guard let byte = bytes.next() else { return nil }
            value |= UInt64(byte) << (8 * UInt64(position))
        }
        head = UInt32(truncatingIfNeeded: value).littleEndian
        tail = UInt16(truncatingIfNeeded: value >> 32).littleEndian
    }

    /// The six bytes, first on the wire first.
    public var bytes: [UInt8] {
        let value = UInt64(head.littleEndian) | UInt64(tail.littleEndian) << 32
        return (0..<6).map { UInt8(truncatingIfNeeded: value >> (8 * UInt64($0))) }
    }

    /// Whether the group bit is set: broadcast or multicast (IEEE 802 §8.2).
    public var isGroup: Bool { bytes[0] & 1 == 1 }
}

extension MACAddress: CustomStringConvertible, LosslessStringConvertible {
    /// Reads six pairs of hexadecimal digits with colons between; `nil` for anything else.
    public init?(_ text: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 6 else { return nil }
        let bytes = parts.compactMap { $0.utf8.count == 2 ? UInt8($0, radix: 16) : nil }
        guard bytes.count == 6 else { return nil }
        self.init(bytes: bytes)
    }

    /// Lower-case hexadecimal with colons, as iproute2 prints it.
    public var description: String {
        bytes.map { byte in
            let digits = String(byte, radix: 16)
            return digits.utf8.count == 1 ? "0" + digits : digits
        }.joined(separator: ":")
    }
}
