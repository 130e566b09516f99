// SPDX-License-Identifier: Apache-2.0
internal import DataPlane
internal import Yams

/// Reads the sections of a file.
struct DocumentReader {
    let problems: ConfigurationProblems

    init(_ problems: ConfigurationProblems) { self.problems = problems }

    /// Reads a whole file; `nil` when there is no interface to run on.
    func read(_ root: Node, host: HostFacts?) -> Configuration? {
        guard
            let section = ConfigurationSection(
                root, "the configuration",
                keys: [
                    "version", "node", "interfaces", "workers", "memory", "defaults", "connections",
                    "icmp", "encapsulation", "snat_pools", "services", "admin", "http", "log",
                ], later: ["announce"], problems)
        else { return nil }
        readVersion(section)
        guard let interface = readInterfaces(section) else { return nil }
        var configuration = Configuration(interface: interface)
        readNode(section, &configuration)
        readWorkers(section, &configuration)
        readMemory(section, &configuration)
        readConnections(section, &configuration)
        readICMP(section, &configuration)
        readEncapsulation(section, &configuration)
        readOperation(section, &configuration)

        let services = ServiceReader(problems)
        services.readDefaults(section, &configuration)
        services.readPools(section, &configuration)
        let places = services.readServices(section, &configuration)
        ConfigurationChecks(configuration, section, places, problems).run(host)
        return configuration
    }

    private func section(
        _ parent: ConfigurationSection, _ key: String, keys: [String], later: [String] = []
    ) -> ConfigurationSection? {
        parent.value(key).flatMap {
            ConfigurationSection($0, "'\(key)'", keys: keys, later: later, problems)
        }
    }

    private func readVersion(_ root: ConfigurationSection) {
        guard root.requires("version"), let (node, text) = root.text("version") else { return }
        if text != "1" {
            problems.error(node, "version '\(text)' is unknown; this xdplb reads version 1")
        }
    }

    private func readNode(_ root: ConfigurationSection, _ configuration: inout Configuration) {
        guard let node = section(root, "node", keys: ["name"]) else { return }
        configuration.nodeName = node.parsed("name", Names.rule) { Names.isName($0) ? $0 : nil }
    }

    // MARK: Interface

    private func readInterfaces(_ root: ConfigurationSection) -> InterfaceConfiguration? {
        guard root.requires("interfaces"), let list = root.list("interfaces") else { return nil }
        guard let first = list.first else {
            problems.error(root.place("interfaces"), "'interfaces' needs one interface")
            return nil
        }
        for other in list.dropFirst() {
            problems.error(
                other, "a second interface \(ConfigurationSection.notInThisVersion)")
        }
        return readInterface(first)
    }

    private func readInterface(_ node: Node) -> InterfaceConfiguration? {
        guard
            let section = ConfigurationSection(
                node, "an interface",
                keys: [
                    "name", "role", "attach_mode", "bind_mode", "queues", "rx_ring", "tx_ring",
                    "fill_ring", "completion_ring", "chunk_size", "vlan", "next_hop", "offline",
                ], problems), section.requires("name"),
            let name = section.parsed(
                "name", "a name of an interface (1-15 characters, no '/')",
                { (1...15).contains($0.utf8.count) && !$0.contains("/") ? $0 : nil })
        else { return nil }
        var interface = InterfaceConfiguration(name: name)
        section.only("role", "both")
        if let (_, text) = section.text("vlan"), text != "none" {
            interface.vlan = section.integer("vlan", in: 1...4094).map(UInt16.init)
        }
        let mode = section.choice("attach_mode", InterfaceConfiguration.AttachMode.self)
        interface.attachMode = mode ?? interface.attachMode
        let bind = section.choice("bind_mode", InterfaceConfiguration.BindMode.self)
        interface.bindMode = bind ?? interface.bindMode
        interface.queues =
            section.parsed("queues", "'all', or a range such as 0-3", Self.queues) ?? nil
        let ring = 64...65536
        interface.rxRing = section.powerOfTwo("rx_ring", in: ring) ?? interface.rxRing
        interface.txRing = section.powerOfTwo("tx_ring", in: ring) ?? interface.txRing
        interface.fillRing = section.powerOfTwo("fill_ring", in: ring) ?? interface.fillRing
        interface.completionRing =
            section.powerOfTwo("completion_ring", in: ring) ?? interface.completionRing
        interface.chunkSize = section.powerOfTwo("chunk_size", in: 2048...4096) ?? 4096
        readNextHop(section, &interface)
        if let offline = section.value("offline") { interface.offline = readOffline(offline) }
        return interface
    }

    /// `all` is `.some(nil)`.
    private static func queues(_ text: String) -> [Int]?? {
        if text == "all" { return .some(nil) }
        let bounds = text.split(separator: "-", omittingEmptySubsequences: false).map {
            ConfigurationSection.integer(String($0))
        }
        guard let first = bounds.first ?? nil, let last = bounds.last ?? nil, bounds.count <= 2,
            first >= 0, first <= last, last < 256
        else { return nil }
        return Array(first...last)
    }

    private func readNextHop(
        _ section: ConfigurationSection, _ interface: inout InterfaceConfiguration
    ) {
        guard let node = section.value("next_hop"), node.scalar?.string != "auto" else { return }
        guard
            let addresses = ConfigurationSection(
                node, "'next_hop'", keys: ["ipv4", "ipv6"], problems)
        else { return }
        let ipv4 = addresses.parsed("ipv4", "an IPv4 address") {
            IPv4Address($0).map { IPAddress($0) }
        }
        let ipv6 = addresses.parsed("ipv6", "an IPv6 address") {
            IPv6Address($0).map { IPAddress($0) }
        }
        interface.fixedNextHops = [ipv4, ipv6].compactMap { $0 }
    }

    private func readOffline(_ node: Node) -> OfflineInterface? {
        guard
            let section = ConfigurationSection(
                node, "'offline'", keys: ["mac", "mtu", "ipv4", "ipv6", "next_hop_mac"], problems)
        else { return nil }
        let rule = "a hardware address, such as 02:00:00:00:00:01"
        let mac = section.parsed("mac", rule) { MACAddress($0) }
        let nextHop = section.parsed("next_hop_mac", rule) { MACAddress($0) }
        let mtu = section.integer("mtu", in: 68...9216)
        let ipv4 = section.parsed("ipv4", "an IPv4 address") { IPv4Address($0) }
        let ipv6 = section.parsed("ipv6", "an IPv6 address") { IPv6Address($0) }
        guard section.requires("mac"), section.requires("next_hop_mac"), let mac, let nextHop else {
            return nil
        }
        return OfflineInterface(
            mac: mac, mtu: mtu ?? 1500, ipv4: ipv4.map { IPAddress($0) },
            ipv6: ipv6.map { IPAddress($0) }, nextHopMAC: nextHop)
    }

    // MARK: Workers and memory

    private func readWorkers(_ root: ConfigurationSection, _ configuration: inout Configuration) {
        guard
            let section = section(
                root, "workers", keys: ["cores", "batch", "idle"], later: ["busy_poll"])
        else { return }
        if let cores = section.list("cores") {
            var seen: [Int] = []
            for node in cores {
                guard let number = node.scalar.flatMap({ ConfigurationSection.integer($0.string) }),
                    (0..<1024).contains(number)
                else {
                    problems.error(node, "a core must be a number of a CPU, 0-1023")
                    continue
                }
                if seen.contains(number) { problems.error(node, "core \(number) is named twice") }
                seen.append(number)
            }
            configuration.workers.cores = seen
        }
        configuration.workers.batch = section.integer("batch", in: 1...64) ?? 64
        let idle = section.choice("idle", WorkerConfiguration.IdleStrategy.self)
        configuration.workers.idle = idle ?? .adaptive
    }

    private func readMemory(_ root: ConfigurationSection, _ configuration: inout Configuration) {
        guard let section = section(root, "memory", keys: ["hugepages", "chunks_per_queue"]) else {
            return
        }
        let pages = section.choice("hugepages", MemoryConfiguration.HugePages.self)
        configuration.memory.hugePages = pages ?? .auto
        configuration.memory.chunksPerQueue =
            section.integer("chunks_per_queue", in: 1024...1_048_576) ?? 16384
    }

    private func readConnections(
        _ root: ConfigurationSection, _ configuration: inout Configuration
    ) {
        guard
            let section = section(
                root, "connections",
                keys: ["entries_per_worker", "table_full", "new_per_source", "fragments"])
        else { return }
        configuration.connections.entriesPerWorker =
            section.integer("entries_per_worker", in: 1024...16_777_215) ?? 1_048_576
        let full = section.choice("table_full", ConnectionConfiguration.TableFull.self)
        configuration.connections.tableFull = full ?? .stateless
        let fragments = section.choice("fragments", ConnectionConfiguration.Fragments.self)
        configuration.connections.fragments = fragments ?? .track
        configuration.connections.newPerSource =
            section.parsed(
                "new_per_source", "'none', or a rate such as 1000/s",
                { $0 == "none" ? .some(nil) : Self.rate($0).map { .some($0) } }) ?? nil
    }

    /// `1000/s`, at least one.
    private static func rate(_ text: String) -> UInt32? {
        guard text.hasSuffix("/s"),
            let number = ConfigurationSection.integer(String(text.dropLast(2))),
            (1...10_000_000).contains(number)
        else { return nil }
        return UInt32(number)
    }

    private func readICMP(_ root: ConfigurationSection, _ configuration: inout Configuration) {
        guard let section = section(root, "icmp", keys: ["echo_reply", "errors_per_second"]) else {
            return
        }
        configuration.icmp.echoReply =
            section.parsed("echo_reply", "true or false", { Bool($0) }) ?? true
        configuration.icmp.errorsPerSecond =
            section.integer("errors_per_second", in: 1...1_000_000).map(UInt32.init) ?? 1000
    }

    // MARK: The outer header

    private func readEncapsulation(
        _ root: ConfigurationSection, _ configuration: inout Configuration
    ) {
        guard
            let section = section(
                root, "encapsulation",
                keys: [
                    "ipv4_source", "ipv6_source", "outer_ttl", "dscp", "too_big", "mss_clamp",
                ])
        else { return }
        if let number = section.integer("outer_ttl", in: 1...255) {
            configuration.encapsulation.outerTimeToLive = UInt8(number)
        }
        if let (_, text) = section.text("dscp"), text != "copy",
            let number = section.integer("dscp", in: 0...63)
        {
            configuration.encapsulation.dscp = UInt8(number)
        }
        let tooBig = section.choice("too_big", EncapsulationConfiguration.TooBig.self)
        configuration.encapsulation.tooBig = tooBig ?? .reply
        let clamp = section.choice("mss_clamp", EncapsulationConfiguration.MSSClamp.self)
        configuration.encapsulation.mssClamp = clamp ?? .none
        configuration.encapsulation.ipv4SourcePrefix = sourcePrefix(
            section, "ipv4_source", .ipv4, "an IPv4 prefix without host bits, such as 172.16.0.0/16"
        )
        configuration.encapsulation.ipv6SourcePrefix = sourcePrefix(
            section, "ipv6_source", .ipv6, "an IPv6 prefix without host bits, such as 100::/64")
    }

    /// The prefix that an outer source is hashed over; `nil` for the interface's address.
    private func sourcePrefix(
        _ section: ConfigurationSection, _ key: String, _ family: AddressFamily,
        _ expected: String
    ) -> IPPrefix? {
        guard let node = section.value(key), node.scalar?.string != "interface",
            let source = ConfigurationSection(
                node, "'\(key)'", keys: ["mode", "prefix"], problems)
        else { return nil }
        let mode = source.parsed("mode", "one of interface, hash") {
            ["interface", "hash"].contains($0) ? $0 : nil
        }
        guard mode == "hash", source.requires("prefix") else { return nil }
        return source.parsed("prefix", expected) {
            IPPrefix($0).flatMap { $0.family == family ? $0 : nil }
        }
    }

    // MARK: Operation

    private func readOperation(
        _ root: ConfigurationSection, _ configuration: inout Configuration
    ) {
        if let admin = section(root, "admin", keys: ["socket", "change_group", "read_group"]) {
            let path = admin.parsed("socket", "an absolute path of at most 107 bytes") {
                $0.hasPrefix("/") && $0.utf8.count < 108 ? $0 : nil
            }
            configuration.admin.socket = path ?? configuration.admin.socket
            configuration.admin.changeGroup = admin.text("change_group")?.text
            configuration.admin.readGroup = admin.text("read_group")?.text
        }
        if let http = section(root, "http", keys: ["listen"], later: ["dashboard"]),
            let (node, text) = http.text("listen")
        {
            if text == "none" {
                configuration.httpListen = nil
            } else if let endpoint = Endpoint(text), let port = endpoint.port {
                configuration.httpListen = .init(
                    host: endpoint.address.description, port: Int(port))
            } else {
                problems.error(
                    node, "listen '\(text)' is no address with a port, such as 127.0.0.1:9660")
            }
        }
        if let log = section(root, "log", keys: ["format", "level"]) {
            log.only("format", "logfmt")
            configuration.logLevel = log.choice("level", LogLevel.self) ?? .info
        }
    }
}

/// What may be a name: it becomes a label of metrics and a part of URLs.
enum Names {
    static let rule = "a name (1-63 letters, digits, '.', '_', '-', ':', '/', '[', ']')"

    static func isName(_ text: String) -> Bool {
        (1...63).contains(text.utf8.count)
            && text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"):
                    true
                default: "._-:/[]".utf8.contains(byte)
                }
            }
    }
}
