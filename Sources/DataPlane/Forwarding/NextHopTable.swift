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
/// Routes are found by the longest prefix, neighbours by address.
struct NextHopTable: ~Copyable {
    struct Hop: BitwiseCopyable {
        var address: IPAddress
        var mac: MACAddress
        var isResolved: Bool
    }

    struct NeighbourSlot: BitwiseCopyable {
        var address: IPAddress
        /// Index of the hop plus one; 0 marks a free slot.
        var hop: UInt32
    }

    private static let onLink = UInt32.max

    private let hops: OwnedTable<Hop>
    private let routes: PrefixTable
    private let neighbours: OwnedTable<NeighbourSlot>

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
            var slot = Self.hash(hop.address)
            while neighbourSlots[slot].hop != 0 { slot &+= 1 }
            neighbourSlots[slot] = NeighbourSlot(address: hop.address, hop: UInt32(index) + 1)
        }

        routes = PrefixTable(
            plan.routes.map {
                .init(prefix: $0.prefix, value: $0.gateway.map(UInt32.init) ?? Self.onLink)
            })
    }

    /// The next hop at an index of the plan.
    @inline(__always)
    func hop(at index: Int) -> NextHop {
        let hop = hops.table[index]
        return hop.isResolved ? .resolved(hop.mac) : .unresolved(hop.address)
    }

    /// The next hop towards any address: by the longest matching route, then by neighbour.
    func hop(towards destination: IPAddress) -> NextHop {
        guard let gateway = routes.find(destination) else { return .noRoute }
        return gateway == Self.onLink ? neighbour(destination) : hop(at: Int(gateway))
    }

    /// What is known of an address on the link.
    func neighbour(_ address: IPAddress) -> NextHop {
        let slots = neighbours.masked
        var slot = Self.hash(address)
        while slots[slot].hop != 0 {
            if slots[slot].address == address { return hop(at: Int(slots[slot].hop) - 1) }
            slot &+= 1
        }
        return .unresolved(address)
    }

    private static func hash(_ address: IPAddress) -> Int {
        let mixed =
            (address.low ^ (address.high &* 0x9e37_79b9_7f4a_7c15)) &* 0xd6e8_feb8_6659_fd93
        return Int(truncatingIfNeeded: mixed >> 32)
    }
}
