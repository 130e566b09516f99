// SPDX-License-Identifier: Apache-2.0

/// A 32-bit Internet address (RFC 791), as a number in host byte order.
public struct IPv4Address: Hashable, Sendable, BitwiseCopyable {
    /// 192.0.2.1 is 0xc0000201.
    public let value: UInt32

    /// An address from its number in host byte order.
    public init(_ value: UInt32) { self.value = value }

    /// An address from its four bytes, first on the wire first.
    public init(_ a: UInt8, _ b: UInt8, _ c: UInt8, _ d: UInt8) {
        value = UInt32(a) << 24 | UInt32(b) << 16 | UInt32(c) << 8 | UInt32(d)
    }
}

extension IPv4Address: Comparable {
    /// Orders by number, so that 10.0.0.2 comes before 10.0.0.10.
    public static func < (left: Self, right: Self) -> Bool { left.value < right.value }
}

extension IPv4Address: CustomStringConvertible, LosslessStringConvertible {
    /// Reads four decimal numbers of 0–255 with dots between; `nil` for anything else.
    ///
    /// Leading zeros are refused: some readers take `010` for octal.
    public init?(_ text: String) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var value: UInt32 = 0
        for part in parts {
            guard (1...3).contains(part.utf8.count), part.utf8.allSatisfy(Self.isDigit),
                part == "0" || part.utf8.first != UInt8(ascii: "0"), let byte = UInt8(part)
            else { return nil }
            value = value << 8 | UInt32(byte)
        }
        self.value = value
    }

    private static func isDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }

    /// Dotted decimal.
    public var description: String {
        "\(value >> 24).\(value >> 16 & 255).\(value >> 8 & 255).\(value & 255)"
    }
}
