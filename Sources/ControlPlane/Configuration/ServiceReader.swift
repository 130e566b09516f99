// SPDX-License-Identifier: Apache-2.0
internal import DataPlane
internal import Yams

/// Where services and backends stand in the file, for problems that are found later.
struct ConfigurationPlaces {
    var services: [Node] = []
    /// Of each service, in the order of the file, without those that could not be read.
    var backends: [[Node]] = []
    var vips: [[Node]] = []
}

/// Reads defaults, SNAT pools and services.
struct ServiceReader {
    private let problems: ConfigurationProblems
    private static let policyKeys = [
        "timeouts", "drain_timeout", "affinity", "on_no_backend", "on_unhealthy", "health",
    ]

    init(_ problems: ConfigurationProblems) { self.problems = problems }

    // MARK: Defaults

    func readDefaults(_ root: ConfigurationSection, _ configuration: inout Configuration) {
        guard let node = root.value("defaults"),
            let section = ConfigurationSection(
                node, "'defaults'", keys: ["mode", "maglev"] + Self.policyKeys, problems)
        else { return }
        let mode = section.parsed("mode", "one of dsr, snat") { ForwardingMode($0) }
        configuration.defaultMode = mode ?? .dsr
        readPolicy(section, &configuration.defaultPolicy)
        guard let maglev = section.value("maglev"),
            let table = ConfigurationSection(
                maglev, "'maglev'", keys: ["table_size", "hash_key_file"], problems)
        else { return }
        if let size = table.integer("table_size", in: 1...1_000_000) {
            if MaglevTable.allowedSizes.contains(size) {
                configuration.maglev.tableSize = size
            } else {
                let sizes = MaglevTable.allowedSizes.map(String.init).joined(separator: ", ")
                problems.error(
                    table.value("table_size") ?? maglev,
                    "table_size \(size) is not one of the primes that are allowed: \(sizes)")
            }
        }
        configuration.maglev.hashKeyFile = table.parsed("hash_key_file", "an absolute path") {
            $0.hasPrefix("/") ? $0 : nil
        }
    }

    private func readPolicy(_ section: ConfigurationSection, _ policy: inout ServicePolicy) {
        let affinity = section.choice("affinity", ServicePolicy.Affinity.self)
        policy.affinity = affinity ?? policy.affinity
        let nobody = section.choice("on_no_backend", ServicePolicy.NoBackend.self)
        policy.onNoBackend = nobody ?? policy.onNoBackend
        let unhealthy = section.choice("on_unhealthy", ServicePolicy.Unhealthy.self)
        policy.onUnhealthy = unhealthy ?? policy.onUnhealthy
        policy.drainTimeout = section.duration("drain_timeout") ?? policy.drainTimeout
        HealthReader(problems).read(section, &policy.health)
        guard let node = section.value("timeouts"),
            let timeouts = ConfigurationSection(
                node, "'timeouts'", keys: ["tcp_established", "tcp_transitory", "udp", "icmp"],
                problems)
        else { return }
        let before = policy.timeouts
        policy.timeouts.tcpEstablished =
            timeout(timeouts, "tcp_established") ?? before.tcpEstablished
        policy.timeouts.tcpTransitory = timeout(timeouts, "tcp_transitory") ?? before.tcpTransitory
        policy.timeouts.udp = timeout(timeouts, "udp") ?? before.udp
        policy.timeouts.icmp = timeout(timeouts, "icmp") ?? before.icmp
    }

    private func timeout(_ section: ConfigurationSection, _ key: String) -> Duration? {
        guard let duration = section.duration(key) else { return nil }
        if duration < .seconds(1) {
            problems.error(section.value(key) ?? section.node, "\(key) must be 1s at least")
        }
        return duration
    }

    // MARK: SNAT pools

    func readPools(_ root: ConfigurationSection, _ configuration: inout Configuration) {
        for node in root.list("snat_pools") ?? [] {
            guard
                let section = ConfigurationSection(
                    node, "a SNAT pool", keys: ["name", "addresses", "ports", "reuse_after"],
                    problems), section.requires("name"), section.requires("addresses"),
                let name = section.parsed("name", Names.rule, { Names.isName($0) ? $0 : nil })
            else { continue }
            if configuration.snatPools.contains(where: { $0.name == name }) {
                problems.error(
                    section.value("name") ?? node, "SNAT pool '\(name)' is defined twice")
            }
            var pool = SNATPoolConfiguration(name: name, addresses: [])
            for element in section.list("addresses") ?? [] {
                for address in addresses(element) {
                    let isTaken =
                        pool.addresses.contains(address)
                        || configuration.snatPools.contains { $0.addresses.contains(address) }
                    if isTaken {
                        problems.error(element, "SNAT address \(address) is given twice")
                    } else {
                        pool.addresses.append(address)
                    }
                }
            }
            pool.ports =
                section.parsed("ports", "a range of ports, such as 1024-65535", Self.portRange)
                ?? pool.ports
            pool.reuseAfter = section.duration("reuse_after") ?? pool.reuseAfter
            configuration.snatPools.append(pool)
        }
    }

    /// An address, `FIRST-LAST` or a prefix.
    private func addresses(_ node: Node) -> [IPAddress] {
        let most = 1024
        guard let text = node.scalar?.string else {
            problems.error(node, "an address of a SNAT pool must be a single value")
            return []
        }
        if let address = IPAddress(text) { return [address] }
        if let prefix = IPPrefix(text), let count = prefix.addressCount, count <= most {
            return (0..<UInt64(count)).map(prefix.address)
        }
        let ends = text.split(separator: "-").map { IPAddress(String($0)) }
        if ends.count == 2, let first = ends[0], let last = ends[1], first <= last,
            first.high == last.high, first.family == last.family,
            last.low - first.low < UInt64(most)
        {
            return (first.low...last.low).map { IPAddress(high: first.high, low: $0) }
        }
        problems.error(
            node,
            "'\(text)' is not an address, range FIRST-LAST or prefix of at most \(most) addresses")
        return []
    }

    private static func portRange(_ text: String) -> ClosedRange<UInt16>? {
        text.contains("-") ? ServiceKey.ports(text) : nil
    }

    // MARK: Services

    func readServices(
        _ root: ConfigurationSection, _ configuration: inout Configuration
    ) -> ConfigurationPlaces {
        var places = ConfigurationPlaces()
        for node in root.list("services") ?? [] {
            guard
                let section = ConfigurationSection(
                    node, "a service",
                    keys: [
                        "name", "vips", "ports", "mode", "encapsulation", "snat_pool", "backends",
                        "backends_from", "source_ranges", "minimum_backends",
                    ] + Self.policyKeys,
                    later: ["announce"], problems)
            else { continue }
            readService(section, &configuration, &places)
        }
        return places
    }

    private func readService(
        _ section: ConfigurationSection, _ configuration: inout Configuration,
        _ places: inout ConfigurationPlaces
    ) {
        let isComplete = ["name", "vips", "ports"].map(section.requires).allSatisfy { $0 }
        let name = section.parsed("name", Names.rule) { Names.isName($0) ? $0 : nil }
        let vipNodes = section.list("vips") ?? []
        let vips = vipNodes.map(vip)
        let portNodes = section.list("ports") ?? []
        let mode = section.parsed("mode", "one of dsr, snat") { ForwardingMode($0) }
        section.only("encapsulation", "ipip")
        var service = ServiceConfiguration(
            name: name ?? "", vips: vips.compactMap { $0 }, ports: portNodes.compactMap(port),
            mode: mode ?? configuration.defaultMode, snatPool: section.text("snat_pool")?.text,
            policy: configuration.defaultPolicy)
        readPolicy(section, &service.policy)
        service.sourceRanges = (section.list("source_ranges") ?? []).compactMap(sourceRange)
        if let node = section.value("source_ranges"), node.sequence?.isEmpty == true {
            problems.error(node, "'source_ranges' must not be empty: leave it out to serve anyone")
        }
        service.minimumBackends = section.integer("minimum_backends", in: 1...65535) ?? 1
        for (key, list) in [("vips", vipNodes), ("ports", portNodes)]
        where section.has(key) && section.value(key)?.sequence != nil && list.isEmpty {
            problems.error(section.place(key), "'\(key)' of a service must not be empty")
        }
        let backendNodes = section.list("backends") ?? []
        let backends = backendNodes.map(backend)
        service.backends = backends.compactMap { $0 }
        service.backendsFrom = section.text("backends_from")?.text
        if section.has("backends"), section.has("backends_from") {
            problems.error(
                section.place("backends_from"), "give either 'backends' or 'backends_from'")
        }
        guard isComplete, name != nil else { return }
        configuration.services.append(service)
        places.services.append(section.node)
        places.backends.append(zip(backendNodes, backends).compactMap { $1 == nil ? nil : $0 })
        places.vips.append(zip(vipNodes, vips).compactMap { $1 == nil ? nil : $0 })
    }

    private func vip(_ node: Node) -> IPPrefix? {
        guard let text = node.scalar?.string else {
            problems.error(node, "a VIP must be a single address or prefix")
            return nil
        }
        if let prefix = IPPrefix(addressOrPrefix: text) {
            guard prefix.coversMappedAddresses else { return prefix }
            problems.error(
                node, "VIP \(prefix) covers ::ffff:0:0/96, which stands for all of IPv4")
            return nil
        }
        problems.error(
            node,
            text.contains("/")
                ? "VIP '\(text)' is not a prefix without host bits, such as 203.0.113.16/28"
                : "VIP '\(text)' is not an IP address")
        return nil
    }

    private func sourceRange(_ node: Node) -> IPPrefix? {
        let text = node.scalar?.string ?? ""
        if let prefix = IPPrefix(addressOrPrefix: text) { return prefix }
        problems.error(
            node, "source range '\(text)' is neither an address nor a prefix without host bits")
        return nil
    }

    private func port(_ node: Node) -> ServicePort? {
        guard let text = node.scalar?.string else {
            problems.error(node, "a port must be a single value, such as 80/tcp")
            return nil
        }
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let transport = TransportProtocol(String(parts[1])) else {
            problems.error(node, "port '\(text)' is not PORT/tcp or PORT/udp, such as 80/tcp")
            return nil
        }
        guard let ports = ServiceKey.ports(String(parts[0])) else {
            problems.error(
                node,
                "port '\(parts[0])' is not 1-65535, a range such as 8000-8099, or any")
            return nil
        }
        return ServicePort(ports: ports, transport: transport)
    }

    // MARK: Backends

    /// `10.0.0.1`, `10.0.0.1:80`, or a mapping.
    private func backend(_ node: Node) -> BackendConfiguration? {
        if node.scalar != nil {
            return endpoint(node).map { BackendConfiguration(address: $0.address, port: $0.port) }
        }
        guard
            let section = ConfigurationSection(
                node, "a backend", keys: ["address", "name", "weight", "admin_state"], problems),
            section.requires("address"), let place = section.value("address")
        else { return nil }
        let weight = section.integer("weight", in: 0...65535)
        let state = section.choice("admin_state", AdminState.self)
        let name = section.parsed("name", Names.rule) { Names.isName($0) ? $0 : nil }
        guard let endpoint = endpoint(place) else { return nil }
        return BackendConfiguration(
            name: name, address: endpoint.address, port: endpoint.port,
            weight: UInt16(weight ?? 100), adminState: state ?? .active)
    }

    private func endpoint(_ node: Node) -> Endpoint? {
        guard let text = node.scalar?.string else {
            problems.error(node, "a backend's address must be a single value")
            return nil
        }
        guard let endpoint = Endpoint(text) else {
            problems.error(node, "backend '\(text)' is not an IP or IP:PORT")
            return nil
        }
        return endpoint
    }
}
