// SPDX-License-Identifier: Apache-2.0
internal import DataPlane
internal import Yams

/// What no single key can tell: contradictions, and what the host has to say.
struct ConfigurationChecks {
    let configuration: Configuration
    let root: ConfigurationSection
    let places: ConfigurationPlaces
    let problems: ConfigurationProblems

    init(
        _ configuration: Configuration, _ root: ConfigurationSection,
        _ places: ConfigurationPlaces, _ problems: ConfigurationProblems
    ) {
        self.configuration = configuration
        self.root = root
        self.places = places
        self.problems = problems
    }

    func run(_ host: HostFacts?) {
        checkLimits()
        checkKeys()
        for index in configuration.services.indices {
            checkVIPs(index)
            checkBackends(index)
            checkReferences(index)
            checkSizes(index)
            checkPolicy(index)
        }
        checkPools()
        if let host { check(host) }
    }

    // MARK: By itself

    private func checkLimits() {
        if configuration.services.count > CounterPage.serviceCapacity {
            problems.error(
                root.place("services"),
                "\(configuration.services.count) services are more than \(CounterPage.serviceCapacity)"
            )
        }
        let backends = configuration.services.reduce(0) { $0 + $1.backends.count }
        if backends > CounterPage.backendCapacity {
            problems.error(
                root.place("services"),
                "\(backends) backends are more than \(CounterPage.backendCapacity)")
        }
        let rings = configuration.interface.fillRing
        if configuration.memory.chunksPerQueue < rings {
            problems.error(
                root.place("memory"),
                """
                chunks_per_queue \(configuration.memory.chunksPerQueue) is less than the fill ring \
                has descriptors (\(rings))
                """)
        }
    }

    private func checkKeys() {
        var names: Set<String> = []
        // By VIP, so that many services are compared with few.
        var owners: [IPPrefix: [(key: ServiceKey, name: String)]] = [:]
        for (index, service) in configuration.services.enumerated() {
            if !names.insert(service.name).inserted {
                problems.error(
                    places.services[index], "service '\(service.name)' is defined twice")
            }
            for key in service.keys {
                if let owner = owners[key.vips]?.first(where: { $0.key.conflicts(with: key) }) {
                    problems.error(
                        places.services[index],
                        owner.name == service.name
                            ? "'\(service.name)' names \(key) twice"
                            : "'\(service.name)' answers at \(key), and so does '\(owner.name)'")
                } else {
                    owners[key.vips, default: []].append((key, service.name))
                }
            }
        }
    }

    private func checkBackends(_ index: Int) {
        let service = configuration.services[index]
        var names: Set<String> = []
        var endpoints: Set<Endpoint> = []
        for (position, backend) in service.backends.enumerated() {
            let place = places.backends[index][position]
            if !endpoints.insert(backend.endpoint).inserted {
                problems.error(
                    place, "backend \(backend.endpoint) of '\(service.name)' is given twice")
            } else if !names.insert(backend.name).inserted {
                problems.error(
                    place, "backend name '\(backend.name)' of '\(service.name)' is given twice")
            }
            checkBackend(service, backend, place)
        }
        let isShared = service.backendsFrom != nil
        // Backends that could not be read have been told already.
        let given = value("backends", in: index)
        if service.backends.isEmpty, !isShared, given.map({ $0.sequence?.isEmpty == true }) ?? true
        {
            problems.warning(places.services[index], "'\(service.name)' has no backends")
        } else if !service.backends.isEmpty, service.backends.allSatisfy({ $0.weight == 0 }) {
            problems.warning(
                places.services[index], "all backends of '\(service.name)' have weight 0")
        }
    }

    private func checkBackend(
        _ service: ServiceConfiguration, _ backend: BackendConfiguration, _ place: Node
    ) {
        guard let contradiction = service.contradiction(with: backend) else { return }
        problems.error(
            place, "'\(service.name)': \(contradiction.text(backend)); \(contradiction.remedy)")
    }

    /// Replies to a SNAT address go to the connections of `snat`, so it cannot be a VIP as well.
    private func checkVIPs(_ index: Int) {
        let service = configuration.services[index]
        for (vips, place) in zip(service.vips, places.vips[index]) {
            guard let (pool, address) = configuration.poolAddress(in: vips) else { continue }
            problems.error(
                place,
                """
                VIP \(vips.text(with: address, whichIs: "an address of SNAT pool '\(pool)'")): \
                packets of clients and replies of backends could not be told apart
                """)
        }
    }

    private func checkPoolFamily(_ index: Int) {
        let service = configuration.services[index]
        guard let family = configuration.familyWithoutPool(service) else { return }
        problems.error(
            place("snat_pool", in: index),
            """
            service '\(service.name)' has \(family.rawValue) VIPs, but snat_pool \
            '\(service.snatPool ?? "")' has no \(family.rawValue) address
            """)
    }

    private func checkReferences(_ index: Int) {
        let service = configuration.services[index]
        if let pool = service.snatPool,
            !configuration.snatPools.contains(where: { $0.name == pool })
        {
            let names = configuration.snatPools.map(\.name).joined(separator: ", ")
            problems.error(
                place("snat_pool", in: index),
                """
                service '\(service.name)' uses snat_pool '\(pool)', which is not defined (pools: \
                \(names.isEmpty ? "none" : names))
                """)
        }
        checkPoolFamily(index)
        guard let owner = service.backendsFrom else { return }
        let found = configuration.services.first { $0.name == owner }
        if found == nil {
            problems.error(
                place("backends_from", in: index),
                "'\(service.name)' has its backends from '\(owner)', which is not defined")
        } else if found?.backendsFrom != nil || owner == service.name {
            problems.error(
                place("backends_from", in: index),
                "'\(service.name)' has its backends from '\(owner)', which has none of its own")
        }
        for backend in found?.backends ?? [] {
            checkBackend(service, backend, place("backends_from", in: index))
        }
    }

    /// The value of a key of a service; `nil` when it is not there.
    func value(_ key: String, in index: Int) -> Node? {
        places.services[index].mapping?.first { $0.key.scalar?.string == key }?.value
    }

    /// Where a key of a service has its value, or the service itself.
    func place(_ key: String, in index: Int) -> Node {
        value(key, in: index) ?? places.services[index]
    }

    private func checkSizes(_ index: Int) {
        let service = configuration.services[index]
        let eligible = service.backends.count { $0.weight > 0 }
        if configuration.maglev.tableSize < eligible * 100 {
            problems.warning(
                places.services[index],
                """
                '\(service.name)' has \(eligible) backends; a table of \
                \(configuration.maglev.tableSize) slots gives each fewer than 100
                """)
        }
        guard service.mode == .snat else { return }
        let timeouts = service.policy.timeouts
        if timeouts.tcpEstablished < .seconds(7440) {
            problems.warning(
                places.services[index],
                "tcp_established of '\(service.name)' is below 2 h 4 min (RFC 5382 REQ-5)")
        }
        let hasHighPort = service.ports.contains {
            $0.transport == .udp && $0.ports.upperBound >= 1024
        }
        if hasHighPort, timeouts.udp < .seconds(120) {
            problems.warning(
                places.services[index], "udp of '\(service.name)' is below 2 min (RFC 4787 REQ-5)")
        }
    }

    /// What is allowed, and hardly meant.
    private func checkPolicy(_ index: Int) {
        let service = configuration.services[index]
        let backends = configuration.backends(of: service).count
        if service.neededBackends > max(backends, 1) {
            problems.warning(
                place("minimum_backends", in: index),
                """
                '\(service.name)' needs \(service.minimumBackends) eligible backends and has \
                \(backends): it is never up
                """)
        }
        checkHealth(service, index)
        let hasUDP = service.ports.contains { $0.transport == .udp }
        if service.policy.affinity == .quicConnectionID, !hasUDP {
            problems.warning(
                place("affinity", in: index),
                "affinity quic_cid of '\(service.name)' has no effect: none of its ports is udp")
        }
        let served = Set(service.sourceRanges.map(\.family))
        for family in service.families where !served.isEmpty && !served.contains(family) {
            problems.warning(
                place("source_ranges", in: index),
                """
                '\(service.name)' has \(family.rawValue) VIPs, but no \(family.rawValue) source \
                range: nobody is served there
                """)
        }
    }

    private func checkHealth(_ service: ServiceConfiguration, _ index: Int) {
        let health = service.policy.health
        guard health.kind != .none else { return }
        if health.kind != .icmp, service.probedPort(health) == nil {
            problems.error(
                place("health", in: index),
                "'\(service.name)' has no single port to probe: give 'port' in its health")
        }
        if health.throughTunnel == true, service.mode == .snat {
            problems.error(
                place("health", in: index),
                "'\(service.name)' is snat, which has no tunnel: leave through_tunnel out")
        }
        if service.backendsFrom != nil, value("health", in: index) != nil {
            problems.warning(
                place("health", in: index),
                """
                health of '\(service.name)' has no effect: it shares backends and their health with \
                '\(service.backendsFrom ?? "")'
                """)
        }
    }

    private func checkPools() {
        for pool in configuration.snatPools where !pool.addresses.isEmpty {
            let ports = pool.addresses.count * pool.ports.count
            if ports < 1024 {
                problems.warning(
                    root.place("snat_pools"),
                    """
                    SNAT pool '\(pool.name)' has only \(ports) ports: at most that many connections \
                    to each backend and protocol
                    """)
            }
        }
    }
}
