// SPDX-License-Identifier: Apache-2.0
internal import DataPlane
internal import struct Foundation.Date

/// What is wanted and what was observed → what the data path decides by.
///
/// Pure: the same input gives the same plan. Identities are handed in and out as a value, so that
/// a plan that is not published leaves no trace.
struct SnapshotCompiler: Sendable {
    let hashKey: HashKey
    let workerCount: Int
    /// Ports of the interface's own address that `snat` may use, when no pool is named.
    let interfacePorts: [ClosedRange<UInt16>]

    /// A plan, and what there is to say about it.
    struct Result: Sendable {
        var plan: ForwardingPlan
        var services: [CompiledService]
        var identities: IdentityRegistry
        var problems: [String]
        /// Addresses whose hardware address is needed, and the backends behind each.
        var nextHopUsers: [IPAddress: [String]]
    }

    /// A service with its table and what became of its backends.
    struct CompiledService: Sendable {
        var id: UInt16
        var configuration: ServiceConfiguration
        var backends: [CompiledBackend]
        var maglev: MaglevTable
        var members: [MaglevTable.Member]
    }

    /// A backend with its number and whether it gets new connections.
    struct CompiledBackend: Sendable {
        var identity: IdentityRegistry.BackendIdentity
        var configuration: BackendConfiguration
        var isRemoved: Bool
        /// Why it gets no new connections; `nil` when it does.
        var reason: String?
        var nextHop: IPAddress?
    }

    /// Compiles a plan.
    ///
    /// - Parameters:
    ///   - desired: What is wanted.
    ///   - observed: What the kernel says.
    ///   - identities: Numbers that were given so far.
    ///   - known: Services as they were compiled before: a table whose members are the same is
    ///     taken over, not built again.
    ///   - generation: Number of the plan.
    /// - Returns: The plan, and what there is to say about it.
    /// - Throws: When there is no room for a service, backend or SNAT address.
    func compile(
        _ desired: DesiredState, _ observed: ObservedState, _ identities: IdentityRegistry,
        known: [CompiledService], generation: UInt64
    ) throws(ChangeRefused) -> Result {
        var draft = Draft(self, desired, observed, identities, known)
        for service in desired.configuration.services { try draft.add(service) }
        return draft.finish(generation: generation)
    }

    /// The plan as it grows.
    private struct Draft {
        let compiler: SnapshotCompiler
        let configuration: Configuration
        let desired: DesiredState
        let observed: ObservedState
        let known: [CompiledService]
        var identities: IdentityRegistry
        var plan: ForwardingPlan
        var services: [CompiledService] = []
        var problems: [String] = []
        var hops = NextHopList()
        var users: [IPAddress: [String]] = [:]

        init(
            _ compiler: SnapshotCompiler, _ desired: DesiredState, _ observed: ObservedState,
            _ identities: IdentityRegistry, _ known: [CompiledService]
        ) {
            self.compiler = compiler
            self.desired = desired
            configuration = desired.configuration
            self.observed = observed
            self.identities = identities
            self.known = known
            plan = ForwardingPlan(
                link: .init(
                    mac: observed.mac, mtu: observed.mtu, ipv4: observed.ipv4,
                    ipv6: observed.ipv6, vlan: configuration.interface.vlan),
                hashKey: compiler.hashKey)
            plan.workerCount = compiler.workerCount
            plan.forwardsStatelessly = configuration.connections.tableFull == .stateless
            plan.tracksFragments = configuration.connections.fragments == .track
            plan.newPerSource = configuration.connections.newPerSource.map { rate in
                let workers = UInt32(max(compiler.workerCount, 1))
                return (rate + workers - 1) / workers
            }
            plan.icmp.answersEcho = configuration.icmp.echoReply
            plan.icmp.errorsPerSecond = configuration.icmp.errorsPerSecond
            plan.encapsulation = .init(configuration.encapsulation)
        }

        // MARK: Services

        mutating func add(_ service: ServiceConfiguration) throws(ChangeRefused) {
            let id = try identities.service(service.name)
            var backends: [CompiledBackend] = []
            for backend in declaredBackends(of: service) {
                backends.append(try compile(backend, of: service, isRemoved: false))
            }
            for retiring in desired.retiring where retiring.service == service.name {
                backends.append(
                    try compile(retiring.configuration, of: service, isRemoved: true))
            }
            let members = backends.filter { $0.reason == nil }.map {
                MaglevTable.Member(
                    endpoint: $0.configuration.endpoint, weight: $0.configuration.weight,
                    backend: $0.identity.id)
            }
            let compiled = CompiledService(
                id: id, configuration: service, backends: backends,
                maglev: table(of: service.name, members), members: members)
            services.append(compiled)
            if members.count < max(service.minimumBackends, 1) {
                problems.append(emptyText(compiled))
            }
            try emit(compiled)
        }

        private func declaredBackends(of service: ServiceConfiguration) -> [BackendConfiguration] {
            guard let owner = service.backendsFrom else { return service.backends }
            return configuration.services.first { $0.name == owner }?.backends ?? []
        }

        private func table(_ name: String) -> CompiledService? {
            known.first { $0.configuration.name == name }
        }

        private func table(of name: String, _ members: [MaglevTable.Member]) -> MaglevTable {
            if let before = table(name), before.members == members,
                before.maglev.count == configuration.maglev.tableSize
            {
                return before.maglev
            }
            return MaglevTable(
                members: members, size: configuration.maglev.tableSize, key: compiler.hashKey)
        }

        private func emptyText(_ service: CompiledService) -> String {
            let reasons = service.backends.filter { !$0.isRemoved }
                .map { "\($0.configuration.name) \($0.reason ?? "")" }.joined(separator: ", ")
            let eligible = service.members.count
            let what =
                eligible == 0
                ? "no eligible backend"
                : """
                \(eligible) eligible backend\(eligible == 1 ? "" : "s"), fewer than \
                \(service.configuration.minimumBackends)
                """
            return "\(service.configuration.name): \(what)"
                + (reasons.isEmpty ? " (it has none)" : " (\(reasons))")
        }

        // MARK: Backends

        private mutating func compile(
            _ backend: BackendConfiguration, of service: ServiceConfiguration, isRemoved: Bool
        ) throws(ChangeRefused) -> CompiledBackend {
            let key = IdentityRegistry.BackendKey(
                service: service.name, endpoint: backend.endpoint)
            let identity = try identities.backend(key, usesSNAT: service.mode == .snat)
            let nextHop = nextHop(towards: backend.address)
            if let nextHop {
                users[nextHop, default: []].append("\(service.name)/\(backend.name)")
            }
            return CompiledBackend(
                identity: identity, configuration: backend, isRemoved: isRemoved,
                reason: isRemoved ? "removed" : reason(backend, nextHop), nextHop: nextHop)
        }

        /// Why a backend gets no new connections.
        private func reason(_ backend: BackendConfiguration, _ nextHop: IPAddress?) -> String? {
            guard backend.adminState == .active else { return backend.adminState.rawValue }
            guard backend.weight > 0 else { return "weight 0" }
            guard let nextHop else {
                return "no route by \(configuration.interface.name)"
            }
            if let neighbour = observed.neighbours[nextHop], neighbour.hasFailed {
                return "next hop \(nextHop) does not answer"
            }
            return nil
        }

        private func nextHop(towards address: IPAddress) -> IPAddress? {
            configuration.interface.fixedNextHops.first { $0.family == address.family }
                ?? observed.nextHop(towards: address)
        }

        // MARK: Into the plan

        private mutating func emit(_ service: CompiledService) throws(ChangeRefused) {
            for backend in service.backends {
                var planned = ForwardingPlan.Backend(
                    id: backend.identity.id, address: backend.configuration.address,
                    port: backend.configuration.port ?? 0,
                    admits: Self.admits(backend),
                    nextHop: backend.nextHop.map { hops.index(of: $0, observed) },
                    portSpace: backend.identity.portSpace)
                planned.epoch = backend.identity.epoch
                plan.backends.append(planned)
                if backend.identity.portSpace != nil, planned.admits != .nothing {
                    plan.snatSources.formUnion(Self.replySources(backend, service))
                }
            }
            var planned = ForwardingPlan.Service(
                id: service.id, keys: service.configuration.keys,
                mode: service.configuration.mode, maglev: service.maglev)
            planned.timeouts = .init(service.configuration.policy.timeouts)
            planned.affinity = .init(service.configuration.policy.affinity)
            planned.onNoBackend =
                service.configuration.policy.onNoBackend == .reject ? .reject : .drop
            planned.sourceRanges = service.configuration.sourceRanges
            planned.backends = service.backends.map(\.identity.id)
            if service.configuration.mode == .snat {
                planned.snatAddresses = try snatAddresses(of: service.configuration)
            }
            plan.services.append(planned)
        }

        private static func admits(_ backend: CompiledBackend) -> ForwardingPlan.Admits {
            if backend.configuration.adminState == .disabled { return .nothing }
            return backend.reason == nil ? .newConnections : .trackedConnections
        }

        private static func replySources(
            _ backend: CompiledBackend, _ service: CompiledService
        ) -> Set<ForwardingPlan.SteeringEndpoint> {
            Set(
                service.configuration.ports.map { own in
                    ForwardingPlan.SteeringEndpoint(
                        address: backend.configuration.address,
                        port: backend.configuration.port ?? own.port ?? 0,
                        transport: own.transport)
                })
        }

        private mutating func snatAddresses(
            of service: ServiceConfiguration
        ) throws(ChangeRefused) -> [UInt16] {
            if let name = service.snatPool,
                let pool = configuration.snatPools.first(where: { $0.name == name })
            {
                var ids: [UInt16] = []
                for address in pool.addresses {
                    ids.append(try identities.snatAddress(address))
                }
                return ids
            }
            var ids: [UInt16] = []
            for family in AddressFamily.allCases
            where service.vips.contains(where: { $0.family == family }) {
                guard let own = observed.address(family) else {
                    problems.append(
                        """
                        \(service.name): snat needs an address, but \
                        \(configuration.interface.name) has no \(family.rawValue) address and no \
                        snat_pool is named
                        """)
                    continue
                }
                ids.append(try identities.snatAddress(own))
            }
            return ids
        }

        // MARK: Finish

        mutating func finish(generation: UInt64) -> Result {
            plan.generation = generation
            plan.snatAddresses = plannedSNATAddresses()
            plan.routes = plannedRoutes()
            for address in observed.neighbours.keys { _ = hops.index(of: address, observed) }
            plan.nextHops = hops.values
            if !observed.isUp {
                problems.insert("interface \(configuration.interface.name) is down", at: 0)
            }
            return Result(
                plan: plan, services: services, identities: identities, problems: problems,
                nextHopUsers: users)
        }

        /// All addresses that ever had a number: connections may still have ports of them.
        private func plannedSNATAddresses() -> [ForwardingPlan.SNATAddress] {
            identities.snatAddresses.sorted { $0.value < $1.value }.map { address, id in
                let pool = configuration.snatPools.first { $0.addresses.contains(address) }
                var planned = ForwardingPlan.SNATAddress(
                    id: id, address: address,
                    ports: pool.map { [$0.ports] } ?? compiler.interfacePorts)
                if let pool { planned.reuseAfter = pool.reuseAfter.clampedMilliseconds }
                return planned
            }
        }

        private mutating func plannedRoutes() -> [ForwardingPlan.Route] {
            let fixed = configuration.interface.fixedNextHops
            var routes: [ForwardingPlan.Route] = fixed.map { hop in
                .init(prefix: .everywhere(hop.family), gateway: hops.index(of: hop, observed))
            }
            for route in bestRoutes()
            where !fixed.contains(where: { $0.family == route.prefix.family }) {
                routes.append(
                    .init(
                        prefix: route.prefix,
                        gateway: route.gateway.map { hops.index(of: $0, observed) }))
            }
            return routes
        }

        /// One route for each prefix: the one of the lowest metric.
        private func bestRoutes() -> [ObservedState.Route] {
            Dictionary(grouping: observed.routes, by: \.prefix).values
                .compactMap { routes in
                    routes.min {
                        ($0.metric, $0.gateway ?? $0.prefix.network)
                            < ($1.metric, $1.gateway ?? $1.prefix.network)
                    }
                }
                .sorted {
                    ($0.prefix.network, $0.prefix.length) < ($1.prefix.network, $1.prefix.length)
                }
        }
    }
}

/// Next hops of a plan, each once.
private struct NextHopList {
    private(set) var values: [ForwardingPlan.NextHop] = []
    private var indices: [IPAddress: Int] = [:]

    mutating func index(of address: IPAddress, _ observed: ObservedState) -> Int {
        if let index = indices[address] { return index }
        let index = values.count
        values.append(.init(address: address, mac: observed.neighbours[address]?.mac))
        indices[address] = index
        return index
    }
}

extension ForwardingPlan.Encapsulation {
    init(_ configuration: EncapsulationConfiguration) {
        self.init()
        ipv4SourcePrefix = configuration.ipv4SourcePrefix
        ipv6SourcePrefix = configuration.ipv6SourcePrefix
        timeToLive = configuration.outerTimeToLive
        dscp = configuration.dscp
        repliesTooBig = configuration.tooBig == .reply
        clampsMSS = configuration.mssClamp == .auto
    }
}

extension ForwardingPlan.Affinity {
    init(_ affinity: ServicePolicy.Affinity) {
        switch affinity {
        case .fiveTuple: self = .fiveTuple
        case .clientAddress: self = .clientAddress
        case .destinationPort: self = .destinationPort
        case .quicConnectionID: self = .quicConnectionID
        }
    }
}

extension ForwardingPlan.Timeouts {
    init(_ timeouts: ConnectionTimeouts) {
        self.init()
        tcpEstablished = timeouts.tcpEstablished.clampedMilliseconds
        tcpTransitory = timeouts.tcpTransitory.clampedMilliseconds
        udp = timeouts.udp.clampedMilliseconds
    }
}
