// SPDX-License-Identifier: Apache-2.0

/// How the packets of a service reach its backends, and the replies the client.
public enum ForwardingMode: UInt8, Hashable, Sendable, CaseIterable, BitwiseCopyable {
    /// Encapsulated to the backend, which answers the client directly.
    case dsr
    /// Translated in both directions, which both pass here.
    case snat
}

extension ForwardingMode: CustomStringConvertible, LosslessStringConvertible {
    /// Reads `dsr` or `snat`; `nil` for anything else.
    public init?(_ text: String) {
        switch text {
        case "dsr": self = .dsr
        case "snat": self = .snat
        default: return nil
        }
    }

    /// `dsr` or `snat`.
    public var description: String { self == .dsr ? "dsr" : "snat" }
}
