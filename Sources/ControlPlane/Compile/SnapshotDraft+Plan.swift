// SPDX-License-Identifier: Apache-2.0
internal import DataPlane

/// From compiled services to the values of the plan.
extension SnapshotDraft {
    /// Puts a service and its backends into the plan.
    mutating func emit(_ service: CompiledService) {
        for backend in service.backends {
            var planned = ForwardingPlan.Backend(
                id: backend.identity.id, address: backend.configuration.address,
                port: backend.configuration.port ?? 0,
                admits: Self.admits(backend, service.configuration.policy),
                nextHop: backend.nextHop.map { hops.index(of: $0) },
                portSpace: backend.identity.portSpace)
            planned.epoch = backend.identity.epoch
            plan.backends.append(planned)
            if backend.identity.portSpace != nil, planned.admits != .nothing {
                plan.snatSources.formUnion(Self.replySources(backend, service))
            }
        }
        let policy = service.configuration.policy
        var planned = ForwardingPlan.Service(
            id: service.id, keys: service.configuration.keys,
            mode: service.configuration.mode, maglev: service.maglev)
        planned.timeouts = .init(policy.timeouts)
        planned.affinity = .init(policy.affinity)
        planned.onNoBackend = .init(policy.onNoBackend)
        planned.sourceRanges = service.configuration.sourceRanges
        planned.backends = service.backends.map(\.identity.id)
        planned.snatAddresses = snatAddresses(of: service.configuration).compactMap {
            identities.snatAddresses[$0]
        }
        plan.services.append(planned)
    }

    private static func admits(
        _ backend: CompiledBackend, _ policy: ServicePolicy
    ) -> ForwardingPlan.Admits {
        if backend.configuration.adminState == .disabled { return .nothing }
        if backend.health == .unhealthy {
            return policy.onUnhealthy == .move ? .nothing : .unansweredConnections
        }
        return backend.reason == nil ? .newConnections : .trackedConnections
    }

    /// Where replies come from: port 0 stands for any, of a backend that keeps those of a range.
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

    /// Gives numbers to a service's SNAT addresses.
    ///
    /// The interface's own address is observed, not asked for: without a number for it the service
    /// has an ``obstacle(_:towards:)``, and everything else that was observed is still taken over.
    ///
    /// - Throws: When there is no number for an address of a pool.
    mutating func numberSNATAddresses(of service: ServiceConfiguration) throws(ChangeRefused) {
        let isPooled = configuration.pool(of: service) != nil
        for address in snatAddresses(of: service) {
            do {
                _ = try identities.snatAddress(address)
            } catch {
                if isPooled { throw error }
            }
        }
    }

    /// Addresses that `snat` puts in place of clients' ones: of the pool, else the interface's own,
    /// of the families that the service has.
    private func snatAddresses(of service: ServiceConfiguration) -> [IPAddress] {
        guard service.mode == .snat else { return [] }
        if let pool = configuration.pool(of: service) {
            return pool.addresses.filter { service.families.contains($0.family) }
        }
        return compiler.interfacePorts.isEmpty
            ? [] : service.families.compactMap(observed.address)
    }

    // MARK: Finish

    /// The plan with everything that is not of one service.
    mutating func finish(generation: UInt64) -> SnapshotCompiler.Result {
        plan.generation = generation
        plan.snatAddresses = plannedSNATAddresses()
        plan.routes = plannedRoutes()
        for address in observed.neighbours.keys.sorted() { _ = hops.index(of: address) }
        plan.nextHops = hops.values
        if !observed.isUp {
            problems.insert("interface \(configuration.interface.name) is down", at: 0)
        }
        return SnapshotCompiler.Result(
            plan: plan, services: services, identities: identities, problems: problems,
            nextHopUsers: users)
    }

    /// All addresses that have a number: connections may still have ports of those not in use.
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

    /// The kernel's routes, but one to the fixed next hop for a family that has one.
    private mutating func plannedRoutes() -> [ForwardingPlan.Route] {
        let fixed = configuration.interface.fixedNextHops
        var routes: [ForwardingPlan.Route] = fixed.map { hop in
            .init(prefix: .everywhere(hop.family), gateway: hops.index(of: hop))
        }
        for route in bestRoutes()
        where !fixed.contains(where: { $0.family == route.prefix.family }) {
            routes.append(
                .init(prefix: route.prefix, gateway: route.gateway.map { hops.index(of: $0) }))
        }
        return routes
    }

    /// One route for each prefix.
    private func bestRoutes() -> [ObservedState.Route] {
        Dictionary(grouping: observed.routes, by: \.prefix).values
            .compactMap { routes in routes.min { $0.isPreferred(over: $1) } }
            .sorted {
                ($0.prefix.network, $0.prefix.length) < ($1.prefix.network, $1.prefix.length)
            }
    }
}

/// Next hops of a plan, each once.
struct NextHopList {
    private(set) var values: [ForwardingPlan.NextHop] = []
    private var indices: [IPAddress: Int] = [:]
    private let neighbours: [IPAddress: ObservedState.Neighbour]

    init(_ neighbours: [IPAddress: ObservedState.Neighbour]) { self.neighbours = neighbours }

    mutating func index(of address: IPAddress) -> Int {
        if let index = indices[address] { return index }
        let index = values.count
        values.append(.init(address: address, mac: neighbours[address]?.mac))
        indices[address] = index
        return index
    }
}
