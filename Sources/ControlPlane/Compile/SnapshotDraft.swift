// SPDX-License-Identifier: Apache-2.0
internal import DataPlane

/// A plan as it grows, service by service.
struct SnapshotDraft {
    typealias CompiledService = SnapshotCompiler.CompiledService
    typealias CompiledBackend = SnapshotCompiler.CompiledBackend

    let compiler: SnapshotCompiler
    let configuration: Configuration
    let desired: DesiredState
    let observed: ObservedState
    let health: SnapshotCompiler.HealthTable?
    let known: [CompiledService]
    var identities: IdentityRegistry
    var plan: ForwardingPlan
    var services: [CompiledService] = []
    var problems: [String] = []
    var hops: NextHopList
    var users: [IPAddress: [String]] = [:]

    init(
        _ compiler: SnapshotCompiler, _ desired: DesiredState, _ observed: ObservedState,
        _ health: SnapshotCompiler.HealthTable?, _ identities: IdentityRegistry,
        _ known: [CompiledService]
    ) {
        self.compiler = compiler
        self.desired = desired
        configuration = desired.configuration
        self.observed = observed
        self.health = health
        self.identities = identities
        self.known = known
        hops = NextHopList(observed.neighbours)
        plan = ForwardingPlan(
            link: .init(
                mac: observed.mac, mtu: observed.mtu, ipv4: observed.ipv4,
                ipv6: observed.ipv6, vlan: configuration.interface.vlan),
            hashKey: compiler.hashKey)
        plan.configure(by: configuration, workers: compiler.workerCount)
    }

    // MARK: Services

    mutating func add(_ service: ServiceConfiguration) throws(ChangeRefused) {
        let id = try identities.service(service.name)
        try numberSNATAddresses(of: service)
        var backends: [CompiledBackend] = []
        for var backend in configuration.backends(of: service) {
            if desired.ending.contains(service.name), backend.adminState == .active {
                backend.adminState = .draining
            }
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
        let (maglev, buildTime) = table(of: service.name, members)
        let compiled = CompiledService(
            id: id, configuration: service, backends: backends, maglev: maglev,
            buildTime: buildTime, members: members)
        services.append(compiled)
        if members.count < service.neededBackends {
            problems.append(Self.problem(compiled))
        }
        emit(compiled)
    }

    /// The table as it was while its members are the same, as building one takes time.
    private func table(
        of name: String, _ members: [MaglevTable.Member]
    ) -> (table: MaglevTable, buildTime: Duration) {
        if let before = known.first(where: { $0.configuration.name == name }),
            before.members == members, before.maglev.count == configuration.maglev.tableSize
        {
            return (before.maglev, before.buildTime)
        }
        let began = ContinuousClock.now
        let table = MaglevTable(
            members: members, size: configuration.maglev.tableSize, key: compiler.hashKey)
        return (table, ContinuousClock.now - began)
    }

    /// Says that a service has too few eligible backends, and why.
    private static func problem(_ service: CompiledService) -> String {
        let reasons = service.backends.compactMap { backend in
            backend.isRemoved
                ? nil : backend.reason.map { "\(backend.configuration.name) \($0)" }
        }
        let eligible = service.members.count
        let what =
            eligible == 0
            ? "no eligible backend"
            : """
            down, as it has \(eligible) eligible backend\(eligible == 1 ? "" : "s") and \
            minimum_backends is \(service.configuration.minimumBackends)
            """
        let list =
            service.backends.allSatisfy(\.isRemoved)
            ? "it has none" : reasons.joined(separator: ", ")
        return "\(service.configuration.name): \(what)" + (list.isEmpty ? "" : " (\(list))")
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
        let found = isRemoved ? .healthy : health(of: backend, in: service)
        return CompiledBackend(
            identity: identity, configuration: backend, isRemoved: isRemoved,
            health: found,
            reason: isRemoved ? "removed" : reason(backend, service, nextHop, found),
            nextHop: nextHop)
    }

    /// What probes found; a backend that is not probed counts as healthy.
    private func health(
        of backend: BackendConfiguration, in service: ServiceConfiguration
    ) -> BackendHealth {
        let owner =
            service.backendsFrom.flatMap { name in
                configuration.services.first { $0.name == name }
            } ?? service
        guard let health, owner.policy.health.kind != .none else { return .healthy }
        return health[.init(service: owner.name, endpoint: backend.endpoint)] ?? .unknown
    }

    private func nextHop(towards address: IPAddress) -> IPAddress? {
        configuration.interface.fixedNextHops.first { $0.family == address.family }
            ?? observed.nextHop(towards: address)
    }

    /// The reason of backends whose probes fail; what they failed by is the prober's to say.
    static let unhealthy = "unhealthy"

    /// Why a backend gets no new connections.
    private func reason(
        _ backend: BackendConfiguration, _ service: ServiceConfiguration, _ nextHop: IPAddress?,
        _ health: BackendHealth
    ) -> String? {
        guard backend.adminState == .active else { return backend.adminState.rawValue }
        guard backend.weight > 0 else { return "weight 0" }
        if let obstacle = obstacle(service, towards: backend.address.family) { return obstacle }
        guard let nextHop else {
            return "no route by \(configuration.interface.name)"
        }
        if let neighbour = observed.neighbours[nextHop], neighbour.hasFailed {
            return "next hop \(nextHop) does not answer"
        }
        switch health {
        case .healthy: return nil
        case .unhealthy: return Self.unhealthy
        case .unknown: return "not probed yet"
        }
    }

    /// Why a service has no address to send to backends of a family from; `nil` when it has one.
    private func obstacle(
        _ service: ServiceConfiguration, towards family: AddressFamily
    ) -> String? {
        let isAddressed = observed.address(family) != nil
        let name = configuration.interface.name
        if service.mode == .dsr {
            let isHashed = configuration.encapsulation.sourcePrefix(family) != nil
            return isHashed || isAddressed
                ? nil : "\(name) has no \(family.rawValue) address to send from"
        }
        if let pool = configuration.pool(of: service) {
            return pool.addresses.contains { $0.family == family }
                ? nil : "snat_pool \(pool.name) has no \(family.rawValue) address"
        }
        guard let own = observed.address(family) else {
            return "\(name) has no \(family.rawValue) address, and no snat_pool is named"
        }
        if compiler.interfacePorts.isEmpty {
            return "ip_local_port_range leaves snat no port of \(name), and no snat_pool is named"
        }
        return identities.snatAddresses[own] == nil
            ? """
            waits for a SNAT address to be free: earlier addresses of \(name) still have connections, \
            \(own) is over the limit of \(identities.limits.snatAddresses)
            """ : nil
    }
}
