// SPDX-License-Identifier: Apache-2.0

/// A set of addresses that share their first bits (RFC 4632 §3.1).
public struct IPPrefix: Hashable, Sendable, BitwiseCopyable {
    /// The first address of the set; its host bits are zero.
    public let network: IPAddress
    /// Shared bits in terms of the family: 0–32 or 0–128.
    public let length: Int

    /// The prefix of `length` bits around `address`, whose host bits are cleared.
    ///
    /// `nil` when the family has no such length.
    public init?(_ address: IPAddress, length: Int) {
        let family = address.family
        guard (0...family.bitCount).contains(length) else { return nil }
        self.length = length
        let mappedLength = family == .ipv4 ? length + 96 : length
        network = IPAddress(
            high: address.high & Self.mask(min(mappedLength, 64)),
            low: address.low & Self.mask(max(mappedLength - 64, 0)))
    }

    /// The prefix that holds `address` alone.
    public init(_ address: IPAddress) {
        network = address
        length = address.family.bitCount
    }

    /// All addresses of a family.
    public static func everywhere(_ family: AddressFamily) -> IPPrefix {
        let zero = IPAddress(high: 0, low: 0)
        let first = family == .ipv4 ? IPAddress(IPv4Address(0)) : zero
        return IPPrefix(first, length: 0) ?? IPPrefix(first)
    }

    /// The first `length` bits of a half set.
    private static func mask(_ length: Int) -> UInt64 {
        length == 0 ? 0 : UInt64.max << (64 - UInt64(length))
    }

    /// The family of the prefix.
    ///
    /// 0.0.0.0/0 stays IPv4: its mapped form keeps the 96 leading bits.
    public var family: AddressFamily { network.family }

    /// Shared bits of the 128-bit mapped form.
    public var mappedLength: Int { family == .ipv4 ? length + 96 : length }

    /// Whether `address` is in the set; never for one of the other family.
    public func contains(_ address: IPAddress) -> Bool {
        address.family == family && IPPrefix(address, length: length)?.network == network
    }

    /// Whether the two sets share an address.
    public func overlaps(_ other: IPPrefix) -> Bool {
        contains(other.network) || other.contains(network)
    }

    /// Addresses in the set; `nil` when they do not fit an `Int`.
    public var addressCount: Int? {
        let hostBits = family.bitCount - length
        return hostBits < Int.bitWidth - 1 ? 1 << hostBits : nil
    }

    /// The address `offset` places after the first one.
    public func address(at offset: UInt64) -> IPAddress {
        let (low, carry) = network.low.addingReportingOverflow(offset)
        return IPAddress(high: network.high &+ (carry ? 1 : 0), low: low)
    }
}

extension IPPrefix: CustomStringConvertible, LosslessStringConvertible {
    /// Reads `ADDRESS/LENGTH`; `nil` for anything else, also when host bits are set, because it is
    /// then unclear which of the two was meant.
    public init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let address = IPAddress(String(parts[0])),
            parts[1].utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
            let length = Int(parts[1]), let prefix = IPPrefix(address, length: length),
            prefix.network == address
        else { return nil }
        self = prefix
    }

    /// `ADDRESS/LENGTH`.
    public var description: String { "\(network)/\(length)" }
}
