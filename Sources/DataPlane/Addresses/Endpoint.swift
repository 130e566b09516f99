// SPDX-License-Identifier: Apache-2.0

/// An address with an optional port, as a person writes it.
public struct Endpoint: Hashable, Sendable {
    /// The address.
    public let address: IPAddress
    /// The port, 1–65535, when one was given.
    public let port: UInt16?

    /// An endpoint of its two parts.
    public init(address: IPAddress, port: UInt16?) {
        self.address = address
        self.port = port
    }

    /// The address, in brackets when it is an IPv6 one.
    public var hostText: String {
        address.family == .ipv4 ? address.description : "[\(address)]"
    }
}

extension Endpoint: CustomStringConvertible, LosslessStringConvertible {
    /// Reads `10.0.0.1`, `10.0.0.1:80`, `2001:db8::1` or `[2001:db8::1]:80`; `nil` for anything else.
    public init?(_ text: String) {
        if let address = IPAddress(text) {
            self.init(address: address, port: nil)
            return
        }
        guard let colon = text.lastIndex(of: ":"),
            let port = UInt16(text[text.index(after: colon)...]), port > 0
        else { return nil }
        var host = text[..<colon]
        if host.first == "[", host.last == "]" {
            host = host.dropFirst().dropLast()
            guard let address = IPv6Address(String(host)) else { return nil }
            self.init(address: IPAddress(address), port: port)
        } else {
            guard let address = IPv4Address(String(host)) else { return nil }
            self.init(address: IPAddress(address), port: port)
        }
    }

    /// The address, and `:PORT` when there is one.
    public var description: String {
        guard let port else { return address.description }
        return "\(hostText):\(port)"
    }
}

extension Endpoint: Comparable {
    /// Orders by address, then port.
    public static func < (left: Self, right: Self) -> Bool {
        (left.address, left.port ?? 0) < (right.address, right.port ?? 0)
    }
}
