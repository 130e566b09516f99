// SPDX-License-Identifier: Apache-2.0

/// Source and destination address and port, and the protocol: what packets of one flow share.
///
/// Two IPv4 addresses are kept in one word, so that what is most of the traffic is compared in two
/// steps; all others as they are, in four words.
public struct FiveTuple: Hashable, Sendable, BitwiseCopyable {
    /// Of IPv4, both addresses, the source in the upper half; else the first half of the source.
    private let first: UInt64
    /// The second half of the source, the first and the second of the destination; 0 for IPv4.
    private let second: UInt64
    private let third: UInt64
    private let fourth: UInt64
    /// Form, source port, destination port and protocol, from the most significant bits down: the
    /// lowest of 24, 16, 16, 8.
    let tail: UInt64

    /// The bit of ``tail`` that tells four words of addresses from one.
    private static let wide: UInt64 = 1 << 40

    /// A tuple of its parts; ports in host byte order.
    public init(
        source: IPAddress, sourcePort: UInt16, destination: IPAddress, destinationPort: UInt16,
        transport: TransportProtocol
    ) {
        self.init(
            source: source, destination: destination,
            ports: UInt32(sourcePort) << 16 | UInt32(destinationPort),
            transport: transport.rawValue)
    }

    @inline(__always)
    init(source: IPAddress, destination: IPAddress, ports: UInt32, transport: UInt8) {
        if source.isIPv4 && destination.isIPv4 {
            self.init(source.lowWord, destination.lowWord, ports, transport)
        } else {
            self.init(wide: source, destination, ports, transport)
        }
    }

    /// A tuple of IPv4.
    @inline(__always)
    init(_ source: UInt32, _ destination: UInt32, _ ports: UInt32, _ transport: UInt8) {
        first = UInt64(source) << 32 | UInt64(destination)
        second = 0
        third = 0
        fourth = 0
        tail = UInt64(ports) << 8 | UInt64(transport)
    }

    /// A tuple of IPv6: not both addresses are IPv4.
    @inline(__always)
    init(wide source: IPAddress, _ destination: IPAddress, _ ports: UInt32, _ transport: UInt8) {
        first = source.high
        second = source.low
        third = destination.high
        fourth = destination.low
        tail = Self.wide | UInt64(ports) << 8 | UInt64(transport)
    }

    static let zero = FiveTuple(
        source: IPAddress(high: 0, low: 0), destination: IPAddress(high: 0, low: 0), ports: 0,
        transport: 0)

    /// Whether both addresses are IPv4.
    @inline(__always)
    var isIPv4: Bool { tail & Self.wide == 0 }

    /// Where the packet comes from.
    @inline(__always)
    public var source: IPAddress {
        isIPv4
            ? IPAddress(IPv4Address(UInt32(truncatingIfNeeded: first >> 32)))
            : IPAddress(high: first, low: second)
    }

    /// Where it goes.
    @inline(__always)
    public var destination: IPAddress {
        isIPv4
            ? IPAddress(IPv4Address(UInt32(truncatingIfNeeded: first)))
            : IPAddress(high: third, low: fourth)
    }

    /// Both addresses of IPv4, the source in the upper half.
    @inline(__always)
    var ipv4Addresses: UInt64 { first }

    /// The port the packet comes from.
    @inline(__always)
    public var sourcePort: UInt16 { UInt16(truncatingIfNeeded: tail >> 24) }

    /// The port it goes to.
    @inline(__always)
    public var destinationPort: UInt16 { UInt16(truncatingIfNeeded: tail >> 8) }

    /// Both ports in one word, source in the upper half.
    @inline(__always)
    var ports: UInt32 { UInt32(truncatingIfNeeded: tail >> 8) }

    /// The protocol's number.
    @inline(__always)
    public var transportNumber: UInt8 { UInt8(truncatingIfNeeded: tail) }

    /// The protocol; `nil` for a number no service can have.
    public var transport: TransportProtocol? { TransportProtocol(rawValue: transportNumber) }

    /// Destination port and protocol, the part of a service's key that is not the VIP.
    @inline(__always)
    var servicePort: UInt32 { UInt32(truncatingIfNeeded: tail & 0xff_ffff) }

    @inline(__always)
    static func same(_ left: FiveTuple, _ right: FiveTuple) -> Bool {
        left.tail == right.tail && left.first == right.first
            && (left.isIPv4
                || left.second == right.second && left.third == right.third
                    && left.fourth == right.fourth)
    }
}

extension FiveTuple: CustomStringConvertible {
    /// `tcp 10.0.0.9:4444 > 40.1.1.1:80`, as `xdplb trace` takes it.
    public var description: String {
        let from = Endpoint(address: source, port: sourcePort)
        let to = Endpoint(address: destination, port: destinationPort)
        return "\(transport?.description ?? String(transportNumber)) \(from) > \(to)"
    }
}
