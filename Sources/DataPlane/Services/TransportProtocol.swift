// SPDX-License-Identifier: Apache-2.0

/// A transport protocol that a service can be offered over, by its number on the wire.
public enum TransportProtocol: UInt8, Hashable, Sendable, CaseIterable, BitwiseCopyable {
    /// RFC 9293.
    case tcp = 6
    /// RFC 768.
    case udp = 17
}

extension TransportProtocol: CustomStringConvertible, LosslessStringConvertible {
    /// Reads `tcp` or `udp`; `nil` for anything else.
    public init?(_ text: String) {
        switch text {
        case "tcp": self = .tcp
        case "udp": self = .udp
        default: return nil
        }
    }

    /// `tcp` or `udp`.
    public var description: String { self == .tcp ? "tcp" : "udp" }
}
