// SPDX-License-Identifier: Apache-2.0

/// Source and destination address and port, and the protocol: what packets of one flow share.
///
/// Two IPv4 addresses are kept in one word, so that what is most of the traffic is compared in two
/// steps and written in two; all others as they are, in four words.
public struct FiveTuple: Sendable, BitwiseCopyable {
    /// Of IPv4, both addresses, the source in the upper half; else the first half of the source.
    private var first: UInt64
    /// Form, source port, destination port and protocol, from the most significant bits down: the
    /// lowest of 24, 16, 16, 8.
    private(set) var tail: UInt64
    /// The second half of the source, the first and the second of the destination; of IPv4, nothing:
    /// whoever holds the tuple may keep other things there.
    var rest: (UInt64, UInt64, UInt64)

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
        tail = UInt64(ports) << 8 | UInt64(transport)
        rest = (0, 0, 0)
    }

    /// Becomes a tuple of IPv4: source and destination, the source in the upper half.
    @inline(__always)
    mutating func set(ipv4 addresses: UInt64, ports: UInt32, transport: UInt8) {
        first = addresses
        tail = UInt64(ports) << 8 | UInt64(transport)
    }

    /// A tuple of IPv6: not both addresses are IPv4.
    @inline(__always)
    init(wide source: IPAddress, _ destination: IPAddress, _ ports: UInt32, _ transport: UInt8) {
        first = source.high
        rest = (source.low, destination.high, destination.low)
        tail = Self.wide | UInt64(ports) << 8 | UInt64(transport)
    }

    /// All of it, to be kept as it is.
    var words: (UInt64, UInt64, UInt64, UInt64, UInt64) {
        (first, tail, rest.0, rest.1, rest.2)
    }

    /// The tuple whose ``words`` were kept.
    init(words: (UInt64, UInt64, UInt64, UInt64, UInt64)) {
        first = words.0
        tail = words.1
        rest = (words.2, words.3, words.4)
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
            : wideSource
    }

    /// Where it goes.
    @inline(__always)
    public var destination: IPAddress {
        isIPv4
            ? IPAddress(IPv4Address(UInt32(truncatingIfNeeded: first)))
            : wideDestination
    }

    /// Both addresses when not both are of IPv4.
    @inline(__always)
    var wideSource: IPAddress { IPAddress(high: first, low: rest.0) }
    @inline(__always)
    var wideDestination: IPAddress { IPAddress(high: rest.1, low: rest.2) }

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
        guard left.tail == right.tail, left.first == right.first else { return false }
        return left.isIPv4 || left.rest == right.rest
    }
}

extension FiveTuple: Hashable {
    /// Whether all five are the same.
    public static func == (left: FiveTuple, right: FiveTuple) -> Bool { same(left, right) }

    /// Feeds all five into the hasher.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(tail)
        hasher.combine(source)
        hasher.combine(destination)
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
