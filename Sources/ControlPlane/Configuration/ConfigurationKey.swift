// SPDX-License-Identifier: Apache-2.0
internal import DataPlane

/// A key of the configuration besides services, and what its change costs.
struct ConfigurationKey: Sendable {
    /// As in the file, the section first.
    let name: String
    /// Whether it is fixed when the daemon starts.
    let needsRestart: Bool
    /// The value as text.
    let text: @Sendable (Configuration) -> String

    /// A key whose value differs between two configurations.
    struct Difference: Equatable, Sendable {
        var name: String
        var needsRestart: Bool
        var before: String
        var after: String
    }

    /// All keys that differ.
    static func differences(
        from before: Configuration, to after: Configuration
    ) -> [Difference] {
        all.compactMap { key in
            let (old, new) = (key.text(before), key.text(after))
            return old == new
                ? nil
                : Difference(
                    name: key.name, needsRestart: key.needsRestart, before: old, after: new)
        }
    }

    private static func fixed(
        _ name: String, _ text: @escaping @Sendable (Configuration) -> String
    ) -> ConfigurationKey { .init(name: name, needsRestart: true, text: text) }

    private static func live(
        _ name: String, _ text: @escaping @Sendable (Configuration) -> String
    ) -> ConfigurationKey { .init(name: name, needsRestart: false, text: text) }

    private static func text(_ value: (some Any)?) -> String { value.map { "\($0)" } ?? "none" }

    static let all: [ConfigurationKey] =
        interface + process + [
            live("node.name") { text($0.nodeName) },
            live("defaults.maglev.table_size") { "\($0.maglev.tableSize)" },
            live("connections.table_full") { $0.connections.tableFull.rawValue },
            live("connections.fragments") { $0.connections.fragments.rawValue },
            live("connections.new_per_source") {
                $0.connections.newPerSource.map { "\($0)/s" } ?? "none"
            },
            live("icmp.echo_reply") { "\($0.icmp.echoReply)" },
            live("icmp.errors_per_second") { "\($0.icmp.errorsPerSecond)" },
            live("encapsulation.ipv4_source") { text($0.encapsulation.ipv4SourcePrefix) },
            live("encapsulation.ipv6_source") { text($0.encapsulation.ipv6SourcePrefix) },
            live("encapsulation.outer_ttl") { "\($0.encapsulation.outerTimeToLive)" },
            live("encapsulation.dscp") { text($0.encapsulation.dscp) },
            live("encapsulation.too_big") { $0.encapsulation.tooBig.rawValue },
            live("encapsulation.mss_clamp") { $0.encapsulation.mssClamp.rawValue },
            live("snat_pools") { configuration in
                configuration.snatPools.map { pool in
                    "\(pool.name): \(pool.addresses.map(\.description).joined(separator: " ")), ports "
                        + "\(pool.ports.lowerBound)-\(pool.ports.upperBound), "
                        + "reuse after \(ConfigurationWriter.text(pool.reuseAfter))"
                }.joined(separator: "; ")
            },
        ]

    private static let interface: [ConfigurationKey] = [
        fixed("interfaces.name") { $0.interface.name },
        fixed("interfaces.attach_mode") { $0.interface.attachMode.rawValue },
        fixed("interfaces.bind_mode") { $0.interface.bindMode.rawValue },
        fixed("interfaces.queues") { text($0.interface.queues) },
        fixed("interfaces.rx_ring") { "\($0.interface.rxRing)" },
        fixed("interfaces.tx_ring") { "\($0.interface.txRing)" },
        fixed("interfaces.fill_ring") { "\($0.interface.fillRing)" },
        fixed("interfaces.completion_ring") { "\($0.interface.completionRing)" },
        fixed("interfaces.chunk_size") { "\($0.interface.chunkSize)" },
        fixed("interfaces.vlan") { text($0.interface.vlan) },
        live("interfaces.next_hop") { configuration in
            let hops = configuration.interface.fixedNextHops.map(\.description)
            return hops.isEmpty ? "auto" : hops.joined(separator: " ")
        },
    ]

    private static let process: [ConfigurationKey] = [
        fixed("workers.cores") { text($0.workers.cores) },
        fixed("workers.batch") { "\($0.workers.batch)" },
        fixed("workers.idle") { $0.workers.idle.rawValue },
        fixed("workers.busy_poll") { configuration in
            configuration.workers.busyPoll.map { "\($0.budget) packets, \($0.microseconds) us" }
                ?? "off"
        },
        fixed("memory.hugepages") { $0.memory.hugePages.rawValue },
        fixed("memory.chunks_per_queue") { "\($0.memory.chunksPerQueue)" },
        fixed("connections.entries_per_worker") { "\($0.connections.entriesPerWorker)" },
        // Connections are found by the hash: with another key none would be.
        fixed("defaults.maglev.hash_key_file") { text($0.maglev.hashKeyFile) },
        fixed("admin.socket") { $0.admin.socket },
        fixed("admin.change_group") { text($0.admin.changeGroup) },
        fixed("admin.read_group") { text($0.admin.readGroup) },
        fixed("http.listen") { configuration in
            configuration.httpListen.map { "\($0.host):\($0.port)" } ?? "none"
        },
        fixed("http.dashboard") { "\($0.hasDashboard)" },
        fixed("log.format") { $0.logFormat.rawValue },
        live("log.level") { $0.logLevel.rawValue },
    ]
}

extension ServiceConfiguration {
    /// What differs between two versions of a service, a clause each; backends apart.
    func differences(to other: ServiceConfiguration) -> [String] {
        var lines: [String] = []
        func compare(_ name: String, _ text: (ServiceConfiguration) -> String) {
            let (old, new) = (text(self), text(other))
            if old != new { lines.append("\(name) \(old) -> \(new)") }
        }
        compare("mode") { $0.mode.description }
        compare("vips") { $0.vips.map(\.shortText).joined(separator: ",") }
        compare("ports") { $0.ports.map(\.description).joined(separator: ",") }
        compare("snat_pool") { $0.snatPool ?? "none" }
        compare("backends_from") { $0.backendsFrom ?? "none" }
        compare("source_ranges") { service in
            service.sourceRanges.isEmpty
                ? "anyone" : service.sourceRanges.map(\.shortText).joined(separator: ",")
        }
        compare("minimum_backends") { "\($0.minimumBackends)" }
        compare("affinity") { $0.policy.affinity.rawValue }
        compare("on_no_backend") { $0.policy.onNoBackend.rawValue }
        compare("on_unhealthy") { $0.policy.onUnhealthy.rawValue }
        compare("drain_timeout") { ConfigurationWriter.text($0.policy.drainTimeout) }
        compare("timeouts") { service in
            let timeouts = service.policy.timeouts
            return [timeouts.tcpEstablished, timeouts.tcpTransitory, timeouts.udp, timeouts.icmp]
                .map { "\(Int($0.seconds))s" }.joined(separator: "/")
        }
        compare("health") { ConfigurationWriter.text($0.policy.health) }
        return lines
    }
}
