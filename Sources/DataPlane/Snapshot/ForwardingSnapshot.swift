// SPDX-License-Identifier: Apache-2.0

/// A ``ForwardingPlan`` laid out for the data path: flat tables, no reference to follow.
///
/// Immutable. Published to workers by generation and freed when all of them have moved on; Maglev
/// tables are shared with other generations, and kept alive here.
public struct ForwardingSnapshot: ~Copyable, Sendable {
    /// The generation of the plan.
    public let generation: UInt64

    let link: LinkRecord
    let flowHash: FlowHash
    let serviceTable: ServiceTable
    let services: OwnedTable<ServiceRecord>
    let backends: OwnedTable<BackendRecord>
    let snat: SNATTable
    let snatSources: EndpointSet
    let nextHops: NextHopTable
    let forwardsStatelessly: Bool
    private let maglevTables: [MaglevTable]

    /// Lays a plan out.
    public init(_ plan: ForwardingPlan) {
        generation = plan.generation
        link = LinkRecord(plan)
        flowHash = FlowHash(key: plan.hashKey)
        serviceTable = ServiceTable(plan)
        snat = SNATTable(plan)
        snatSources = EndpointSet(plan.snatSources)
        nextHops = NextHopTable(plan)
        forwardsStatelessly = plan.forwardsStatelessly
        maglevTables = plan.services.map(\.maglev)

        let empty = MaglevTable(members: [], size: 251, key: plan.hashKey)
        let none = ServiceRecord(
            maglev: empty.slots, timeouts: .init(), id: 0, mode: .dsr, firstSNATAddress: 0,
            snatAddressCount: 0, exists: false)
        services = OwnedTable(
            repeating: none, count: (plan.services.map { Int($0.id) }.max() ?? -1) + 1)
        var firstSNATAddress = 0
        for service in plan.services {
            services.table[Int(service.id)] = ServiceRecord(
                maglev: service.maglev.slots, timeouts: service.timeouts, id: service.id,
                mode: service.mode, firstSNATAddress: UInt16(firstSNATAddress),
                snatAddressCount: UInt16(service.snatAddresses.count), exists: true)
            firstSNATAddress += service.snatAddresses.count
        }

        backends = OwnedTable(
            repeating: .none, count: (plan.backends.map { Int($0.id) }.max() ?? -1) + 1)
        for backend in plan.backends { backends.table[Int(backend.id)] = BackendRecord(backend) }
    }

    /// The backend of that number; one that admits nothing when there is none.
    @inline(__always)
    func backend(_ id: UInt16) -> BackendRecord {
        Int(id) < backends.table.count ? backends.table[Int(id)] : .none
    }

    /// The service of that number; `nil` when there is none.
    @inline(__always)
    func service(_ id: UInt16) -> ServiceRecord? {
        guard Int(id) < services.table.count, services.table[Int(id)].exists else { return nil }
        return services.table[Int(id)]
    }
}

/// What every frame that leaves has in common.
struct LinkRecord: BitwiseCopyable {
    var mac: MACAddress
    /// Largest IP packet in bytes.
    var mtu: Int
    /// Outer source of `dsr`: all of it, or the network part when it is hashed.
    var outerSource: UInt32
    /// Bits of the outer source that are taken from the flow hash.
    var outerSourceHashMask: UInt32
    var outerTimeToLive: UInt8
    /// DSCP and ECN of the inner header that are copied out.
    var typeOfServiceMask: UInt8
    /// DSCP that is set instead.
    var typeOfServiceBits: UInt8

    init(_ plan: borrowing ForwardingPlan) {
        mac = plan.link.mac
        mtu = plan.link.mtu
        outerTimeToLive = plan.encapsulation.timeToLive
        if let prefix = plan.encapsulation.ipv4SourcePrefix {
            outerSource = prefix.network.lowWord
            outerSourceHashMask =
                prefix.length == 0 ? .max : ~(UInt32.max << (32 - UInt32(prefix.length)))
        } else {
            outerSource = plan.link.ipv4?.lowWord ?? 0
            outerSourceHashMask = 0
        }
        // ECN is always copied: RFC 6040 §4.1, normal mode.
        typeOfServiceMask = plan.encapsulation.dscp == nil ? 0xff : 0x03
        typeOfServiceBits = (plan.encapsulation.dscp ?? 0) << 2
    }
}
