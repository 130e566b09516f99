// SPDX-License-Identifier: Apache-2.0
public import DataPlane

/// Prefixes as an operator writes them: an address alone stands for itself.
extension IPPrefix {
    /// Reads `ADDRESS` or `ADDRESS/LENGTH`; `nil` for anything else.
    public init?(addressOrPrefix text: String) {
        if let address = IPAddress(text) {
            self.init(address)
        } else {
            self.init(text)
        }
    }

    /// Whether there is one address in it.
    public var isHost: Bool { length == family.bitCount }

    /// `ADDRESS` when there is one in it, else `ADDRESS/LENGTH`.
    public var shortText: String { isHost ? network.description : description }

    /// Whether it is an IPv6 prefix around ::ffff:0:0/96, where tables have all of IPv4
    /// (RFC 4291 §2.5.5.2).
    var coversMappedAddresses: Bool {
        guard family == .ipv6, length <= 96, network.high == 0 else { return false }
        let mask = length <= 64 ? 0 : UInt64.max << (128 - UInt64(length))
        return network.low == (0xffff << 32) & mask
    }

    /// Says that it is, or contains, an address that is something.
    public func text(with address: IPAddress, whichIs what: String) -> String {
        isHost ? "\(shortText) is \(what)" : "\(shortText) contains \(address), \(what)"
    }
}
