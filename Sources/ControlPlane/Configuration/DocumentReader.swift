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
        guard let interface = InterfaceReader(problems).read(section) else { return nil }
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

    // MARK: Workers and memory

    private func readWorkers(_ root: ConfigurationSection, _ configuration: inout Configuration) {
        guard
            let section = section(
                root, "workers", keys: ["cores", "batch", "idle", "busy_poll"])
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
        configuration.workers.busyPoll = readBusyPoll(section)
        if configuration.workers.busyPoll != nil, configuration.workers.idle == .block {
            problems.warning(
                section.place("busy_poll"),
                """
                busy_poll has no effect with 'idle: block', as a sleeping worker does not poll: use \
                'spin' or 'adaptive'
                """)
        }
    }

    /// `off`, the budget alone, or `{enabled: …, usec: …, budget: …}`.
    private func readBusyPoll(_ workers: ConfigurationSection) -> WorkerConfiguration.BusyPoll? {
        guard let node = workers.value("busy_poll"),
            !["off", "none"].contains(node.scalar?.string)
        else { return nil }
        var busyPoll = WorkerConfiguration.BusyPoll()
        let budget = 1...1024
        if node.mapping == nil {
            guard let number = workers.integer("busy_poll", in: budget) else { return nil }
            busyPoll.budget = number
            return busyPoll
        }
        guard
            let section = ConfigurationSection(
                node, "'busy_poll'", keys: ["enabled", "usec", "budget"], problems)
        else { return nil }
        let isEnabled = section.parsed("enabled", "true or false") { Bool($0) } ?? true
        busyPoll.budget = section.integer("budget", in: budget) ?? busyPoll.budget
        busyPoll.microseconds = section.integer("usec", in: 1...1000) ?? busyPoll.microseconds
        return isEnabled ? busyPoll : nil
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
            if let (_, group) = admin.text("change_group") {
                configuration.admin.changeGroup = group == "none" ? nil : group
            }
            if let (_, group) = admin.text("read_group") {
                configuration.admin.readGroup = group == "none" ? nil : group
            }
        }
        readHTTP(root, &configuration)
        if let log = section(root, "log", keys: ["format", "level"]) {
            configuration.logFormat = log.choice("format", LogFormat.self) ?? .logfmt
            configuration.logLevel = log.choice("level", LogLevel.self) ?? .info
        }
    }

    private func readHTTP(_ root: ConfigurationSection, _ configuration: inout Configuration) {
        guard let http = section(root, "http", keys: ["listen", "dashboard"]) else { return }
        configuration.hasDashboard =
            http.parsed("dashboard", "true or false", { Bool($0) }) ?? true
        guard let (node, text) = http.text("listen") else { return }
        if text == "none" {
            configuration.httpListen = nil
        } else if let endpoint = Endpoint(text), let port = endpoint.port {
            configuration.httpListen = .init(
                host: endpoint.address.description, port: Int(port))
        } else {
            problems.error(
                node, "listen '\(text)' is not an address with a port, such as 127.0.0.1:9660")
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
