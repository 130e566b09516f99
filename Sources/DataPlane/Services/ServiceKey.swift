// SPDX-License-Identifier: Apache-2.0

/// What packets are matched by: a VIP or a prefix of VIPs, ports, and the protocol.
///
/// Written `VIP:PORT/PROTOCOL`, an IPv6 VIP in brackets; the VIP may be a prefix, the port a range
/// or `any`: `203.0.113.16/28:8000-8099/tcp`, `[2001:db8::1]:any/udp`.
public struct ServiceKey: Hashable, Sendable {
    /// Every port: what `any` stands for.
    public static let anyPort: ClosedRange<UInt16> = 0...UInt16.max

    /// The addresses clients connect to.
    public let vips: IPPrefix
    /// The ports clients connect to, in host byte order.
    public let ports: ClosedRange<UInt16>
    /// The transport protocol.
    public let transport: TransportProtocol

    /// A key of its three parts.
    public init(vips: IPPrefix, ports: ClosedRange<UInt16>, transport: TransportProtocol) {
        self.vips = vips
        self.ports = ports
        self.transport = transport
    }

    /// The key of one VIP and one port.
    public init(vip: IPAddress, port: UInt16, transport: TransportProtocol) {
        self.init(vips: IPPrefix(vip), ports: port...port, transport: transport)
    }

    /// The port when there is one only.
    public var port: UInt16? { ports.count == 1 ? ports.lowerBound : nil }

    /// Whether every packet that matches `other` matches this.
    public func covers(_ other: ServiceKey) -> Bool {
        transport == other.transport && vips.length <= other.vips.length
            && vips.contains(other.vips.network)
            && ports.contains(other.ports.lowerBound) && ports.contains(other.ports.upperBound)
    }

    /// Whether it cannot be told which of two services a packet is for.
    ///
    /// A longer VIP prefix wins over a shorter one, and any port is the fall-back of the others, so
    /// those may share packets; two lists of ports of one VIP may not.
    public func conflicts(with other: ServiceKey) -> Bool {
        guard transport == other.transport, vips == other.vips, ports.overlaps(other.ports) else {
            return false
        }
        return (ports == Self.anyPort) == (other.ports == Self.anyPort)
    }
}

extension ServiceKey: Comparable {
    /// Orders by VIP, then ports, then protocol number.
    public static func < (left: Self, right: Self) -> Bool {
        func rank(_ key: Self) -> (IPAddress, Int, UInt16, UInt16, UInt8) {
            (
                key.vips.network, key.vips.length, key.ports.lowerBound, key.ports.upperBound,
                key.transport.rawValue
            )
        }
        return rank(left) < rank(right)
    }
}

extension ServiceKey: CustomStringConvertible, LosslessStringConvertible {
    /// Reads `40.1.1.1:80/tcp`, `[2001:db8::1]:53/udp`, `10.0.0.0/8:any/udp`; `nil` for anything
    /// else.
    public init?(_ text: String) {
        guard let slash = text.lastIndex(of: "/"), let colon = text[..<slash].lastIndex(of: ":"),
            let transport = TransportProtocol(String(text[text.index(after: slash)...])),
            let ports = Self.ports(String(text[text.index(after: colon)..<slash]))
        else { return nil }
        var host = text[..<colon]
        let isBracketed = host.first == "[" && host.last == "]"
        if isBracketed { host = host.dropFirst().dropLast() }
        let vips = IPAddress(String(host)).map(IPPrefix.init) ?? IPPrefix(String(host))
        guard let vips, isBracketed == (vips.family == .ipv6) else { return nil }
        self.init(vips: vips, ports: ports, transport: transport)
    }

    /// Reads `80`, `8000-8099` or `any`; `nil` for anything else.
    public static func ports(_ text: String) -> ClosedRange<UInt16>? {
        if text == "any" { return anyPort }
        let ends = text.split(separator: "-", omittingEmptySubsequences: false).map { end in
            end.allSatisfy { $0.isASCII && $0.isNumber } ? UInt16(end) : nil
        }
        guard (1...2).contains(ends.count), let first = ends[0], let last = ends[ends.count - 1],
            first > 0, first <= last
        else { return nil }
        return first...last
    }

    /// `80`, `8000-8099` or `any`.
    public static func text(of ports: ClosedRange<UInt16>) -> String {
        if ports == anyPort { return "any" }
        return ports.count == 1
            ? String(ports.lowerBound) : "\(ports.lowerBound)-\(ports.upperBound)"
    }

    /// The VIP, or the prefix of VIPs.
    public var vipText: String {
        vips.length == vips.family.bitCount ? vips.network.description : vips.description
    }

    /// `VIP:PORT/PROTOCOL`, as it is read.
    public var description: String {
        let text = vips.family == .ipv4 ? vipText : "[\(vipText)]"
        return "\(text):\(Self.text(of: ports))/\(transport)"
    }
}
