// SPDX-License-Identifier: Apache-2.0

/// A route (RTM_NEWROUTE).
public struct RouteMessage: Equatable, Sendable {
    /// One way of a route.
    public struct Hop: Equatable, Sendable {
        /// The device it leaves by.
        public var interface: Int
        /// Four bytes or sixteen; `nil` when destinations are on the link.
        public var gateway: [UInt8]?
    }

    /// 4 or 6.
    public var version: Int
    /// The routing table; ``mainTable`` is the ordinary one.
    public var table: UInt32
    /// Whether packets are forwarded by it (RTN_UNICAST), not delivered or refused.
    public var isUnicast: Bool
    /// Whether it is for packets of any source and type of service, and no exception for one
    /// destination that the kernel has learned for its own packets (RTM_F_CLONED).
    public var isGeneral: Bool
    /// The first address, as long as the family's; zeros for the default route.
    public var destination: [UInt8]
    /// Bits that a destination must share with it.
    public var prefixLength: Int
    /// The lowest wins among routes for one prefix.
    public var priority: UInt32
    /// Its ways; several for a multipath route.
    public var hops: [Hop]

    /// RT_TABLE_MAIN.
    public static let mainTable: UInt32 = 254

    private static let unicast: UInt8 = 1
    private static let cloned: UInt32 = 0x200
    private static let familyIPv6: UInt8 = 10

    private enum Attributes {
        static let destination: UInt16 = 1
        static let interface: UInt16 = 4
        static let gateway: UInt16 = 5
        static let priority: UInt16 = 6
        static let multipath: UInt16 = 9
        static let table: UInt16 = 15
        /// A gateway of the other family (RFC 5549).
        static let via: UInt16 = 18
    }

    /// struct rtmsg.
    private static let fixedByteCount = 12

    /// Reads the part of a message after its header; `nil` when it is too short.
    init?(_ payload: ArraySlice<UInt8>) {
        guard payload.count >= Self.fixedByteCount,
            let family = payload.number(at: 0, as: UInt8.self),
            let length = payload.number(at: 1, as: UInt8.self),
            let sourceLength = payload.number(at: 2, as: UInt8.self),
            let typeOfService = payload.number(at: 3, as: UInt8.self),
            let table = payload.number(at: 4, as: UInt8.self),
            let type = payload.number(at: 7, as: UInt8.self),
            let flags = payload.number(at: 8, as: UInt32.self)
        else { return nil }
        version = family == Self.familyIPv6 ? 6 : 4
        prefixLength = Int(length)
        self.table = UInt32(table)
        isUnicast = type == Self.unicast
        isGeneral = sourceLength == 0 && typeOfService == 0 && flags & Self.cloned == 0
        destination = [UInt8](repeating: 0, count: family == Self.familyIPv6 ? 16 : 4)
        priority = 0
        hops = []
        var single = Hop(interface: 0, gateway: nil)
        for attribute in Attribute.all(in: payload.dropFirst(Self.fixedByteCount)) {
            switch attribute.type {
            case Attributes.destination where attribute.value.count == destination.count:
                destination = Array(attribute.value)
            case Attributes.interface:
                single.interface = Int(attribute.number(as: UInt32.self) ?? 0)
            case Attributes.gateway: single.gateway = Array(attribute.value)
            case Attributes.via: single.gateway = Array(attribute.value.dropFirst(2))
            case Attributes.priority: priority = attribute.number(as: UInt32.self) ?? 0
            case Attributes.table: self.table = attribute.number(as: UInt32.self) ?? self.table
            case Attributes.multipath: hops = Self.hops(in: attribute.value)
            default: break
            }
        }
        if hops.isEmpty, single.interface != 0 { hops = [single] }
    }

    /// struct rtnexthop: length, flags, weight, device; then attributes.
    private static func hops(in bytes: ArraySlice<UInt8>) -> [Hop] {
        let headerByteCount = 8
        var hops: [Hop] = []
        var rest = bytes
        while let length = rest.number(at: 0, as: UInt16.self),
            let interface = rest.number(at: 4, as: Int32.self),
            Int(length) >= headerByteCount, Int(length) <= rest.count
        {
            var hop = Hop(interface: Int(interface), gateway: nil)
            let own = rest.prefix(Int(length)).dropFirst(headerByteCount)
            for attribute in Attribute.all(in: own) {
                switch attribute.type {
                case Attributes.gateway: hop.gateway = Array(attribute.value)
                case Attributes.via: hop.gateway = Array(attribute.value.dropFirst(2))
                default: break
                }
            }
            hops.append(hop)
            rest = rest.dropFirst((Int(length) + 3) & ~3)
        }
        return hops
    }

    /// A request for all routes.
    static func dump(_ sequence: UInt32) -> MessageWriter {
        MessageWriter(
            type: RouteMessageType.getRoute, flags: NetlinkHeader.dump, sequence: sequence,
            fixed: [UInt8](repeating: 0, count: fixedByteCount))
    }
}
