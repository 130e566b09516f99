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
    /// By the number of the backend.
    let tunnels: OwnedTable<TunnelHeader>
    let snat: SNATTable
    let snatSources: EndpointSet
    /// Their addresses.
    let snatHosts: PrefixTable
    /// Addresses that packets are tunnelled to.
    let tunnelEnds: PrefixTable
    /// Clients that are served; the scope is the number of the service.
    let sourceRanges: PrefixTable
    let nextHops: NextHopTable
    /// Backends by the number that QUIC connection IDs name; the scope is the service's.
    let quicServers: PrefixTable
    /// Whether any service looks at every packet of its connections.
    let judgesPackets: Bool
    let forwardsStatelessly: Bool
    let tracksFragments: Bool
    let newPerSource: UInt32?
    let icmp: ForwardingPlan.ICMP
    let workerCount: Int
    private let maglevTables: [MaglevTable]

    /// Lays a plan out.
    public init(_ plan: ForwardingPlan) {
        generation = plan.generation
        link = LinkRecord(plan)
        flowHash = FlowHash(key: plan.hashKey)
        serviceTable = ServiceTable(plan)
        snat = SNATTable(plan)
        snatSources = EndpointSet(plan.snatSources)
        snatHosts = PrefixTable(
            Set(plan.snatSources.map(\.address)).map { .init(prefix: IPPrefix($0), value: 0) })
        tunnelEnds = PrefixTable(
            Set(plan.backends.map(\.address)).map { .init(prefix: IPPrefix($0), value: 0) })
        sourceRanges = PrefixTable(
            plan.services.flatMap { service in
                service.sourceRanges.map { .init(prefix: $0, scope: service.id, value: 0) }
            })
        nextHops = NextHopTable(plan)
        quicServers = PrefixTable(Self.quicServers(plan))
        judgesPackets = plan.services.contains {
            !$0.sourceRanges.isEmpty || $0.affinity == .quicConnectionID
        }
        forwardsStatelessly = plan.forwardsStatelessly
        tracksFragments = plan.tracksFragments
        newPerSource = plan.newPerSource
        icmp = plan.icmp
        workerCount = plan.workerCount
        maglevTables = plan.services.map(\.maglev)

        let empty = MaglevTable(members: [], size: 251, key: plan.hashKey)
        let none = ServiceRecord(
            maglev: empty.slots, timeouts: .init(), id: 0, mode: .dsr, affinity: .fiveTuple,
            onNoBackend: .drop, hasSourceRanges: false, judgesEveryPacket: false,
            choosesPlainly: false, firstSNATAddress: 0, snatAddressCount: 0,
            exists: false)
        services = OwnedTable(
            repeating: none, count: (plan.services.map { Int($0.id) }.max() ?? -1) + 1)
        var firstSNATAddress = 0
        for service in plan.services {
            services.table[Int(service.id)] = ServiceRecord(
                maglev: service.maglev.slots, timeouts: service.timeouts, id: service.id,
                mode: service.mode, affinity: service.affinity, onNoBackend: service.onNoBackend,
                hasSourceRanges: !service.sourceRanges.isEmpty,
                judgesEveryPacket: !service.sourceRanges.isEmpty
                    || service.affinity == .quicConnectionID,
                choosesPlainly: service.sourceRanges.isEmpty && service.affinity == .fiveTuple,
                firstSNATAddress: UInt16(firstSNATAddress),
                snatAddressCount: UInt16(service.snatAddresses.count), exists: true)
            firstSNATAddress += service.snatAddresses.count
        }

        backends = OwnedTable(
            repeating: .none, count: (plan.backends.map { Int($0.id) }.max() ?? -1) + 1)
        tunnels = OwnedTable(repeating: .none, count: backends.table.count)
        for backend in plan.backends {
            let record = BackendRecord(backend, plan.nextHops)
            backends.table[Int(backend.id)] = record
            tunnels.table[Int(backend.id)] = TunnelHeader(to: record, on: link)
        }
    }

    private static func quicServers(_ plan: borrowing ForwardingPlan) -> [PrefixTable.Entry] {
        let addresses = Dictionary(
            plan.backends.map { ($0.id, $0.address) }, uniquingKeysWith: { first, _ in first })
        var entries: [PrefixTable.Entry] = []
        for service in plan.services where service.affinity == .quicConnectionID {
            for id in service.backends {
                guard let address = addresses[id] else { continue }
                let number = UInt64(QUICConnectionID.number(of: address))
                entries.append(
                    .init(
                        prefix: IPPrefix(IPAddress(high: 0, low: number)), scope: service.id,
                        value: UInt32(id)))
            }
        }
        return entries
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
