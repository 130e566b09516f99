// SPDX-License-Identifier: Apache-2.0

/// Source and destination address and port, and the protocol: what packets of one flow share.
///
/// Five 64-bit words, so that two of them are compared without a branch per field.
public struct FiveTuple: Hashable, Sendable, BitwiseCopyable {
    /// Where the packet comes from.
    public let source: IPAddress
    /// Where it goes.
    public let destination: IPAddress
    /// Source port, destination port and protocol, from the most significant bits down: 16, 16, 8.
    let tail: UInt64

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
        self.source = source
        self.destination = destination
        tail = UInt64(ports) << 8 | UInt64(transport)
    }

    static let zero = FiveTuple(
        source: IPAddress(high: 0, low: 0), destination: IPAddress(high: 0, low: 0), ports: 0,
        transport: 0)

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
        // The words that differ most come first; the high halves are equal for IPv4.
        left.tail == right.tail && left.source.low == right.source.low
            && left.destination.low == right.destination.low
            && left.source.high == right.source.high
            && left.destination.high == right.destination.high
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
