// SPDX-License-Identifier: Apache-2.0

/// What the steering program sends to the sockets.
///
/// Addresses have sixteen bytes in network order, IPv4 in mapped form (RFC 4291 §2.5.5.2).
public struct SteeringRules: Equatable, Sendable {
    /// A VIP, or a prefix of VIPs.
    public struct Prefix: Hashable, Sendable {
        /// The first address.
        public let address: [UInt8]
        /// Shared bits, 0–128.
        public let length: Int

        /// A prefix of its parts.
        ///
        /// - Precondition: `address` has sixteen bytes, and no bit set after the first `length`.
        public init(address: [UInt8], length: Int) {
            precondition(address.count == 16 && (0...128).contains(length))
            self.address = address
            self.length = length
        }
    }

    /// Ports of a protocol.
    public struct Ports: Hashable, Sendable {
        /// Every port.
        public static let any: ClosedRange<UInt16> = 0...UInt16.max

        /// In host byte order, both ends included.
        public let range: ClosedRange<UInt16>
        /// The protocol's number.
        public let transport: UInt8

        /// Ports of a range.
        public init(_ range: ClosedRange<UInt16>, transport: UInt8) {
            self.range = range
            self.transport = transport
        }
    }

    /// An address, port and protocol.
    public struct Endpoint: Hashable, Sendable {
        /// The address.
        public let address: [UInt8]
        /// In host byte order; 0 is any port.
        public let port: UInt16
        /// The protocol's number.
        public let transport: UInt8

        /// An endpoint of its parts.
        ///
        /// - Precondition: `address` has sixteen bytes.
        public init(address: [UInt8], port: UInt16, transport: UInt8) {
            precondition(address.count == 16)
            self.address = address
            self.port = port
            self.transport = transport
        }
    }

    /// Hardware address that frames must be to; six bytes.
    public var mac = [UInt8](repeating: 0, count: 6)
    /// VLAN that frames must be in; `nil` for frames without a tag.
    public var vlan: UInt16?
    /// Whether echo requests to a VIP are redirected.
    public var answersEcho = false
    /// What is offered at each VIP; at one inside another prefix, what is offered there as well.
    public var vips: [Prefix: Set<Ports>] = [:]
    /// SNAT addresses and their ports, in up to four ranges.
    public var pool: [[UInt8]: [ClosedRange<UInt16>]] = [:]
    /// Backends whose packets to a SNAT address are replies.
    public var backends: Set<Endpoint> = []
    /// Addresses that packets are tunnelled to.
    public var tunnelEnds: Set<[UInt8]> = []

    /// Rules that match nothing.
    public init() {}
}

extension SteeringRules {
    /// Rules that match what either of two sets matches, on the link of the second.
    ///
    /// - Precondition: Each of them has one range of ports for a SNAT address, or two.
    public func merging(_ other: SteeringRules) -> SteeringRules {
        var both = other
        both.answersEcho = answersEcho || other.answersEcho
        both.vips = mergedVIPs(other)
        both.pool.merge(pool) { Self.union($0, $1) }
        both.backends.formUnion(backends)
        both.tunnelEnds.formUnion(tunnelEnds)
        return both
    }

    /// A VIP that only one of the two has is inside prefixes of the other perhaps.
    private func mergedVIPs(_ other: SteeringRules) -> [Prefix: Set<Ports>] {
        guard vips != other.vips else { return vips }
        let lengths = self.lengths
        let otherLengths = other.lengths
        var both = vips
        for (prefix, ports) in vips where other.vips[prefix] != ports {
            both[prefix] = ports.union(other.offered(in: prefix, otherLengths))
        }
        for (prefix, ports) in other.vips where vips[prefix] == nil {
            both[prefix] = ports.union(offered(in: prefix, lengths))
        }
        return both
    }

    /// Lengths of the prefixes, longest first.
    private var lengths: [Int] { Set(vips.keys.map(\.length)).sorted(by: >) }

    /// What is offered at the addresses of a prefix, by the longest prefix that has all of them.
    private func offered(in prefix: Prefix, _ lengths: [Int]) -> Set<Ports> {
        for length in lengths where length <= prefix.length {
            if let ports = vips[prefix.shortened(to: length)] { return ports }
        }
        return []
    }

    /// Ranges that have all ports of two lists, ascending and apart.
    private static func union(
        _ left: [ClosedRange<UInt16>], _ right: [ClosedRange<UInt16>]
    ) -> [ClosedRange<UInt16>] {
        var union: [ClosedRange<UInt16>] = []
        for range in (left + right).sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if let last = union.last, Int(range.lowerBound) <= Int(last.upperBound) + 1 {
                union[union.count - 1] =
                    last.lowerBound...max(last.upperBound, range.upperBound)
            } else {
                union.append(range)
            }
        }
        return union
    }
}

extension SteeringRules.Prefix {
    /// The prefix of `length` bits around this one.
    func shortened(to length: Int) -> Self {
        let bytes = address.enumerated().map { index, byte in
            let bits = min(max(length - index * 8, 0), 8)
            return byte & UInt8(truncatingIfNeeded: 0xff00 >> bits)
        }
        return Self(address: bytes, length: length)
    }
}
