// SPDX-License-Identifier: Apache-2.0
public import DataPlane
internal import Yams

/// What of this host a configuration is checked against.
public struct HostFacts: Equatable, Sendable {
    /// Addresses of all interfaces.
    public var addresses: [IPAddress]
    /// MTU of the interface; `nil` when there is no such interface.
    public var mtu: Int?
    /// RX queues of the interface.
    public var queueCount: Int
    /// Ports the kernel hands out by itself.
    public var localPorts: ClosedRange<UInt16>
    /// CPUs that are online and allowed.
    public var cpus: [Int]
    /// Whether others than the owner may read the hash key file; `nil` when there is no such file.
    public var othersReadKey: Bool?

    /// Facts of their parts.
    public init(
        addresses: [IPAddress], mtu: Int?, queueCount: Int, localPorts: ClosedRange<UInt16>,
        cpus: [Int], othersReadKey: Bool?
    ) {
        self.addresses = addresses
        self.mtu = mtu
        self.queueCount = queueCount
        self.localPorts = localPorts
        self.cpus = cpus
        self.othersReadKey = othersReadKey
    }
}

/// What no single key can tell: contradictions, and what the host has to say.
struct ConfigurationChecks {
    private let configuration: Configuration
    private let root: ConfigurationSection
    private let places: ConfigurationPlaces
    private let problems: ConfigurationProblems

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
            checkBackends(index)
            checkReferences(index)
            checkSizes(index)
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
            checkTranslation(service, backend, place)
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

    private func checkTranslation(
        _ service: ServiceConfiguration, _ backend: BackendConfiguration, _ place: Node
    ) {
        if service.mode == .snat,
            let vip = service.vips.first(where: { $0.family != backend.address.family })
        {
            problems.error(
                place,
                """
                '\(service.name)' is snat, which cannot mix families: backend \(backend.address), VIP \
                \(vip.network)
                """)
        }
        guard service.mode == .dsr, let port = backend.port,
            let own = service.ports.first(where: { $0.port != port })
        else { return }
        problems.error(
            place,
            """
            '\(service.name)' is dsr, which cannot translate ports: backend \(backend.endpoint), \
            service port \(ServiceKey.text(of: own.ports))
            """)
    }

    /// An interface with a pool of one family cannot serve a service of the other.
    private func checkPoolFamily(_ index: Int) {
        let service = configuration.services[index]
        guard service.mode == .snat,
            let pool = configuration.snatPools.first(where: { $0.name == service.snatPool })
        else { return }
        for family in Set(service.vips.map(\.family)) {
            guard !pool.addresses.contains(where: { $0.family == family }) else { continue }
            problems.error(
                place("snat_pool", in: index),
                """
                service '\(service.name)' has \(family.rawValue) VIPs, but snat_pool \
                '\(pool.name)' has no \(family.rawValue) address
                """)
        }
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
            checkTranslation(service, backend, place("backends_from", in: index))
        }
    }

    /// The value of a key of a service; `nil` when it is not there.
    private func value(_ key: String, in index: Int) -> Node? {
        places.services[index].mapping?.first { $0.key.scalar?.string == key }?.value
    }

    /// Where a key of a service has its value, or the service itself.
    private func place(_ key: String, in index: Int) -> Node {
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
        let hasHighPort = service.ports.contains { $0.transport == .udp && $0.ports.upperBound >= 1024 }
        if hasHighPort, timeouts.udp < .seconds(120) {
            problems.warning(
                places.services[index], "udp of '\(service.name)' is below 2 min (RFC 4787 REQ-5)")
        }
    }

    private func checkPools() {
        for pool in configuration.snatPools where !pool.addresses.isEmpty {
            let ports = pool.addresses.count * pool.ports.count
            if ports < 1024 {
                problems.warning(
                    root.place("snat_pools"),
                    "SNAT pool '\(pool.name)' has \(ports) ports: so many connections to a backend")
            }
        }
    }

    // MARK: Against the host

    private func check(_ host: HostFacts) {
        let interface = configuration.interface
        let place = root.place("interfaces")
        guard let mtu = host.mtu else {
            problems.error(place, "there is no interface '\(interface.name)' on this host")
            return
        }
        if let queues = interface.queues, queues.count != host.queueCount || queues.first != 0 {
            problems.error(
                place,
                """
                \(interface.name) has \(host.queueCount) RX queues, but \(queues.count) are \
                configured: 'ethtool -L \(interface.name) combined \(queues.count)'
                """)
        }
        for core in configuration.workers.cores ?? [] where !host.cpus.contains(core) {
            problems.error(root.place("workers"), "core \(core) is not online or not allowed")
        }
        for (index, service) in configuration.services.enumerated() {
            for vip in service.vips {
                guard let own = host.addresses.first(where: vip.contains) else { continue }
                let isHost = vip.length == vip.family.bitCount
                problems.error(
                    places.services[index],
                    """
                    VIP \(isHost ? vip.network.description : vip.description) of \
                    '\(service.name)' \(isHost ? "is" : "has \(own),") an address of this host: its \
                    own traffic, SSH too, would be cut off
                    """)
            }
            if service.mode == .dsr, mtu <= 1500 {
                let overhead = service.backends.contains { $0.address.family == .ipv6 } ? 40 : 20
                let answer =
                    configuration.encapsulation.tooBig == .reply
                    ? "draw ICMP too big" : "are dropped"
                problems.warning(
                    places.services[index],
                    """
                    '\(service.name)' encapsulates (\(overhead) bytes) but \(interface.name) has MTU \
                    \(mtu): full-size segments \(answer); 'ip link set \(interface.name) mtu \
                    \(mtu + overhead)', or advmss \(mtu - 40 - overhead) on the backends
                    """)
            }
        }
        for pool in configuration.snatPools {
            let isOwn = pool.addresses.contains { host.addresses.contains($0) }
            if isOwn, pool.ports.overlaps(host.localPorts) {
                problems.error(
                    root.place("snat_pools"),
                    """
                    SNAT pool '\(pool.name)' has an address of this host and ports that the kernel \
                    hands out (\(host.localPorts.lowerBound)-\(host.localPorts.upperBound))
                    """)
            }
        }
        if host.othersReadKey == true {
            problems.warning(
                root.place("defaults"), "others can read the hash key file: 'chmod 640' it")
        }
    }
}
