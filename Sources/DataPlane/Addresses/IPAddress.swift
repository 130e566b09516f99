// SPDX-License-Identifier: Apache-2.0

/// The version of the Internet protocol an address belongs to.
public enum AddressFamily: String, Hashable, Sendable, CaseIterable {
    /// RFC 791.
    case ipv4
    /// RFC 8200.
    case ipv6

    /// Bits of an address.
    public var bitCount: Int { self == .ipv4 ? 32 : 128 }
}

/// An Internet address of either family.
///
/// 128 bits wide: an IPv4 address is kept in its mapped form `::ffff:a.b.c.d` (RFC 4291 §2.5.5.2),
/// so that tables have one key for both families. The mapped form never appears on the wire as
/// an IPv6 address (vectors A7), so nothing is lost by giving it this meaning.
public struct IPAddress: Hashable, Sendable, BitwiseCopyable {
    /// The first eight bytes, as a number in host byte order.
    public let high: UInt64
    /// The last eight bytes, as a number in host byte order.
    public let low: UInt64

    private static let mappedPrefix: UInt64 = 0xffff << 32

    /// An address from its two halves in host byte order.
    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// An IPv4 address in mapped form.
    public init(_ address: IPv4Address) {
        self.init(high: 0, low: Self.mappedPrefix | UInt64(address.value))
    }

    /// An IPv6 address as it is.
    public init(_ address: IPv6Address) { self.init(high: address.high, low: address.low) }

    /// An address from 4 or 16 bytes in network order; `nil` for any other count.
    public init?(bytes: some Collection<UInt8>) {
        switch bytes.count {
        case 4: self.init(IPv4Address(bytes.reduce(0) { $0 << 8 | UInt32($1) }))
        case 16:
            self.init(
                high: bytes.prefix(8).reduce(0) { $0 << 8 | UInt64($1) },
                low: bytes.dropFirst(8).reduce(0) { $0 << 8 | UInt64($1) })
        default: return nil
        }
    }

    /// Which family the address belongs to.
    public var family: AddressFamily {
        high == 0 && low >> 32 == 0xffff ? .ipv4 : .ipv6
    }

    /// Whether the family is IPv4.
    @inline(__always)
    var isIPv4: Bool { high == 0 && low >> 32 == 0xffff }

    /// The address as IPv4; `nil` when it is an IPv6 one.
    public var ipv4: IPv4Address? {
        family == .ipv4 ? IPv4Address(UInt32(truncatingIfNeeded: low)) : nil
    }

    /// The last 32 bits in host byte order: all of an IPv4 address.
    public var lowWord: UInt32 { UInt32(truncatingIfNeeded: low) }

    /// All 16 bytes in network order, IPv4 in mapped form: the key of the steering program's maps.
    public var mappedBytes: [UInt8] {
        [high, low].flatMap { half in
            (0..<8).map { UInt8(truncatingIfNeeded: half >> (56 - 8 * UInt64($0))) }
        }
    }

    /// The bytes on the wire: 4 or 16.
    public var bytes: [UInt8] { family == .ipv4 ? Array(mappedBytes.suffix(4)) : mappedBytes }
}

extension IPAddress: Comparable {
    /// Orders by number; IPv4 addresses come together.
    public static func < (left: Self, right: Self) -> Bool {
        (left.high, left.low) < (right.high, right.low)
    }
}

extension IPAddress: CustomStringConvertible, LosslessStringConvertible {
    /// Reads dotted decimal or an IPv6 form; `nil` for anything else.
    public init?(_ text: String) {
        if let address = IPv4Address(text) {
            self.init(address)
        } else if let address = IPv6Address(text) {
            self.init(address)
        } else {
            return nil
        }
    }

    /// Dotted decimal, or the canonical IPv6 text of RFC 5952.
    public var description: String {
        ipv4?.description ?? IPv6Address(high: high, low: low).description
    }
}
