// SPDX-License-Identifier: Apache-2.0

/// Where frames go at layer 2, as far as it is known.
enum NextHop: Equatable, BitwiseCopyable {
    case resolved(MACAddress)
    /// The kernel is to be asked for this address.
    case unresolved(IPAddress)
    /// The kernel has no route.
    case noRoute
}

/// Routes and neighbours, flat: destination → next hop.
///
/// Routes are probed from the longest prefix length that occurs to the shortest, one hash probe
/// each; a host has few lengths. Neighbours are found by address.
struct NextHopTable: ~Copyable {
    struct Hop: BitwiseCopyable {
        var address: IPAddress
        var mac: MACAddress
        var isResolved: Bool
    }

    struct RouteSlot: BitwiseCopyable {
        static let empty: UInt8 = 255
        var network: IPAddress
        /// Of the mapped form, 0–128; `empty` marks a free slot.
        var length: UInt8
        /// Index of the gateway, or `onLink`.
        var gateway: UInt32
    }

    struct NeighbourSlot: BitwiseCopyable {
        var address: IPAddress
        /// Index of the hop plus one; 0 marks a free slot.
        var hop: UInt32
    }

    private static let onLink = UInt32.max

    private let hops: OwnedTable<Hop>
    private let routes: OwnedTable<RouteSlot>
    private let neighbours: OwnedTable<NeighbourSlot>
    /// Prefix lengths that occur, longest first.
    private let lengths: OwnedTable<UInt8>

    init(_ plan: borrowing ForwardingPlan) {
        hops = OwnedTable(
            plan.nextHops.map {
                Hop(address: $0.address, mac: $0.mac ?? .zero, isResolved: $0.mac != nil)
            }, or: Hop(address: FiveTuple.zero.source, mac: .zero, isResolved: false))

        let zero = FiveTuple.zero.source
        neighbours = OwnedTable(
            repeating: NeighbourSlot(address: zero, hop: 0),
            count: powerOfTwo(atLeast: plan.nextHops.count * 2, floor: 2))
        let neighbourSlots = neighbours.masked
        for (index, hop) in plan.nextHops.enumerated() {
            var slot = Self.hash(hop.address, 128)
            while neighbourSlots[slot].hop != 0 { slot &+= 1 }
            neighbourSlots[slot] = NeighbourSlot(address: hop.address, hop: UInt32(index) + 1)
        }

        routes = OwnedTable(
            repeating: RouteSlot(network: zero, length: RouteSlot.empty, gateway: 0),
            count: powerOfTwo(atLeast: plan.routes.count * 2, floor: 2))
        let routeSlots = routes.masked
        for route in plan.routes {
            let length = UInt8(route.prefix.mappedLength)
            var slot = Self.hash(route.prefix.network, length)
            while routeSlots[slot].length != RouteSlot.empty { slot &+= 1 }
            routeSlots[slot] = RouteSlot(
                network: route.prefix.network, length: length,
                gateway: route.gateway.map(UInt32.init) ?? Self.onLink)
        }
        let present = Set(plan.routes.map { UInt8($0.prefix.mappedLength) })
        lengths = OwnedTable(present.sorted(by: >), or: 0)
    }

    /// The next hop at an index of the plan.
    @inline(__always)
    func hop(at index: Int) -> NextHop {
        let hop = hops.table[index]
        return hop.isResolved ? .resolved(hop.mac) : .unresolved(hop.address)
    }

    /// The next hop towards any address: by the longest matching route, then by neighbour.
    func hop(towards destination: IPAddress) -> NextHop {
        let slots = routes.masked
        for index in 0..<lengths.table.count {
            let length = lengths.table[index]
            let network = destination.masked(to: Int(length))
            var slot = Self.hash(network, length)
            while slots[slot].length != RouteSlot.empty {
                let route = slots[slot]
                if route.length == length && route.network == network {
                    return route.gateway == Self.onLink
                        ? neighbour(destination) : hop(at: Int(route.gateway))
                }
                slot &+= 1
            }
        }
        return .noRoute
    }

    /// What is known of an address on the link.
    func neighbour(_ address: IPAddress) -> NextHop {
        let slots = neighbours.masked
        var slot = Self.hash(address, 128)
        while slots[slot].hop != 0 {
            if slots[slot].address == address { return hop(at: Int(slots[slot].hop) - 1) }
            slot &+= 1
        }
        return .unresolved(address)
    }

    private static func hash(_ address: IPAddress, _ length: UInt8) -> Int {
        let mixed =
            (address.low ^ (address.high &* 0x9e37_79b9_7f4a_7c15) ^ UInt64(length) << 56)
            &* 0xd6e8_feb8_6659_fd93
        return Int(truncatingIfNeeded: mixed >> 32)
    }
}

extension IPAddress {
    /// The address with all but the first `length` bits of its 128 cleared.
    func masked(to length: Int) -> IPAddress {
        func mask(_ bits: Int) -> UInt64 {
            bits <= 0 ? 0 : bits >= 64 ? .max : UInt64.max << (64 - UInt64(bits))
        }
        return IPAddress(high: high & mask(length), low: low & mask(length - 64))
    }
}
