// SPDX-License-Identifier: Apache-2.0

/// A service as the data path sees it.
struct ServiceRecord: BitwiseCopyable {
    var maglev: MaglevSlots
    var timeouts: ForwardingPlan.Timeouts
    var id: UInt16
    var mode: ForwardingMode
    /// Range of its SNAT addresses in ``SNATTable/choices``.
    var firstSNATAddress: UInt16
    var snatAddressCount: UInt16
    /// Whether the number is in use.
    var exists: Bool
}

/// VIP, port and protocol → service, with open addressing; a port of 0 matches any.
struct ServiceTable: ~Copyable {
    struct Slot: BitwiseCopyable {
        var vip: IPAddress
        /// ``FiveTuple/servicePort``.
        var port: UInt32
        /// Number of the service plus one; 0 marks a free slot.
        var service: UInt32
    }

    private let slots: OwnedTable<Slot>
    private let hasWildcards: Bool

    init(_ plan: borrowing ForwardingPlan) {
        let keys = plan.services.flatMap { service in service.keys.map { ($0, service.id) } }
        let empty = Slot(vip: FiveTuple.zero.source, port: 0, service: 0)
        slots = OwnedTable(repeating: empty, count: powerOfTwo(atLeast: keys.count * 4, floor: 4))
        hasWildcards = keys.contains { $0.0.port == 0 }
        let table = slots.masked
        for (key, id) in keys {
            let port = UInt32(key.port) << 8 | UInt32(key.transport.rawValue)
            var slot = Self.hash(key.vip, port)
            while table[slot].service != 0 { slot &+= 1 }
            table[slot] = Slot(vip: key.vip, port: port, service: UInt32(id) + 1)
        }
    }

    /// The number of the service a packet is for; `nil` when it is for none.
    @inline(__always)
    func service(for flow: FiveTuple) -> UInt16? {
        let port = flow.servicePort
        if let found = find(flow.destination, port) { return found }
        return hasWildcards ? find(flow.destination, port & 0xff) : nil
    }

    @inline(__always)
    private func find(_ vip: IPAddress, _ port: UInt32) -> UInt16? {
        let table = slots.masked
        var slot = Self.hash(vip, port)
        while table[slot].service != 0 {
            if table[slot].port == port && table[slot].vip.low == vip.low
                && table[slot].vip.high == vip.high
            {
                return UInt16(truncatingIfNeeded: table[slot].service &- 1)
            }
            slot &+= 1
        }
        return nil
    }

    @inline(__always)
    private static func hash(_ vip: IPAddress, _ port: UInt32) -> Int {
        let mixed =
            (vip.low ^ (vip.high &* 0x9e37_79b9_7f4a_7c15) ^ UInt64(port) << 32)
            &* 0xd6e8_feb8_6659_fd93
        return Int(truncatingIfNeeded: mixed >> 32)
    }
}
