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

    /// Says that it is, or contains, an address that is something.
    public func text(with address: IPAddress, whichIs what: String) -> String {
        isHost ? "\(shortText) is \(what)" : "\(shortText) contains \(address), \(what)"
    }
}
