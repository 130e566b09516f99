// SPDX-License-Identifier: Apache-2.0

/// A service as the data path sees it.
struct ServiceRecord: BitwiseCopyable {
    var maglev: MaglevSlots
    var timeouts: ForwardingPlan.Timeouts
    var id: UInt16
    var mode: ForwardingMode
    var affinity: ForwardingPlan.Affinity
    var onNoBackend: ForwardingPlan.NoBackend
    /// Whether only some clients are served.
    var hasSourceRanges: Bool
    /// Whether a packet of a tracked connection may still be refused, or go elsewhere.
    var judgesEveryPacket: Bool
    /// Whether Maglev alone says, by the flow's hash, to which backend anyone's connection goes.
    var choosesPlainly: Bool
    /// Range of its SNAT addresses in ``SNATTable/choices``.
    var firstSNATAddress: UInt16
    var snatAddressCount: UInt16
    /// Whether the number is in use.
    var exists: Bool
}

/// VIP, port and protocol → service.
///
/// One VIP with one port, which is the rule, is found in one probe. Prefixes of VIPs, ranges and
/// any port have a list of rules for each VIP or prefix, the narrowest first.
struct ServiceTable: ~Copyable {
    struct Slot: BitwiseCopyable {
        var vip: IPAddress
        /// ``FiveTuple/servicePort``.
        var port: UInt32
        /// Number of the service plus one; 0 marks a free slot.
        var service: UInt32
    }

    struct Rule: BitwiseCopyable {
        var firstPort: UInt16
        var lastPort: UInt16
        var service: UInt16
        var transport: UInt8
        /// Whether the next rule is of another VIP.
        var isLast: Bool
    }

    private let slotStorage: OwnedTable<Slot>
    private let slots: PowerOfTwoTable<Slot>
    private let rules: OwnedTable<Rule>
    /// VIP or prefix → index of its first rule.
    private let vips: PrefixTable
    private let hasPatterns: Bool

    init(_ plan: borrowing ForwardingPlan) {
        let keys = plan.services.flatMap { service in service.keys.map { ($0, service.id) } }
        let exact = keys.filter { $0.0.isExact }
        let empty = Slot(vip: FiveTuple.zero.source, port: 0, service: 0)
        slotStorage = OwnedTable(
            repeating: empty, count: powerOfTwo(atLeast: exact.count * 4, floor: 4))
        let table = slotStorage.masked
        slots = table
        hasPatterns = exact.count < keys.count
        for (key, id) in exact {
            let port = UInt32(key.ports.lowerBound) << 8 | UInt32(key.transport.rawValue)
            var slot = Self.hash(key.vips.network, port)
            while table[slot].service != 0 { slot &+= 1 }
            table[slot] = Slot(vip: key.vips.network, port: port, service: UInt32(id) + 1)
        }

        var rules: [Rule] = []
        var vips: [PrefixTable.Entry] = []
        for vip in plan.steeredVIPs {
            vips.append(.init(prefix: vip.prefix, value: UInt32(rules.count)))
            for (index, rule) in vip.rules.enumerated() {
                rules.append(
                    Rule(
                        firstPort: rule.key.ports.lowerBound, lastPort: rule.key.ports.upperBound,
                        service: rule.service, transport: rule.key.transport.rawValue,
                        isLast: index == vip.rules.count - 1))
            }
        }
        self.rules = OwnedTable(
            rules, or: Rule(firstPort: 1, lastPort: 0, service: 0, transport: 0, isLast: true))
        self.vips = PrefixTable(vips)
    }

    /// The number of the service a packet is for; `nil` when it is for none.
    @inline(__always)
    func service(for flow: FiveTuple) -> UInt16? {
        exactService(for: flow) ?? patternService(for: flow)
    }

    /// The service that has the packet's very VIP and port as a key.
    @inline(__always)
    func exactService(for flow: FiveTuple) -> UInt16? {
        find(flow.destination, flow.servicePort)
    }

    /// The service of the narrowest prefix or range that the packet's VIP and port are in.
    @inline(__always)
    func patternService(for flow: FiveTuple) -> UInt16? { hasPatterns ? rule(for: flow) : nil }

    /// Whether any service is offered at an address.
    func isVIP(_ address: IPAddress) -> Bool { vips.find(address) != nil }

    private func rule(for flow: FiveTuple) -> UInt16? {
        guard let first = vips.find(flow.destination) else { return nil }
        let port = flow.destinationPort
        var index = Int(first)
        while true {
            let rule = rules.table[index]
            if rule.transport == flow.transportNumber, rule.firstPort <= port,
                port <= rule.lastPort
            {
                return rule.service
            }
            if rule.isLast { return nil }
            index &+= 1
        }
    }

    @inline(__always)
    private func find(_ vip: IPAddress, _ port: UInt32) -> UInt16? {
        let table = slots
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

extension ServiceKey {
    /// Whether one VIP and one port match.
    var isExact: Bool { ports.count == 1 && vips.length == vips.family.bitCount }
}
