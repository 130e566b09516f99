// SPDX-License-Identifier: Apache-2.0
internal import DataPlane
internal import Yams

/// What only the host can tell.
extension ConfigurationChecks {
    /// Whether the host has what the configuration needs, and nothing that it would cut off.
    func check(_ host: HostFacts) {
        for obstacle in configuration.obstacles(on: host) {
            problems.error(node(of: obstacle.place), obstacle.text)
        }
        guard let mtu = host.mtu else { return }
        for (index, service) in configuration.services.enumerated()
        where service.mode == .dsr && mtu <= 1500 {
            problems.warning(places.services[index], tunnelWarning(service, mtu))
        }
        checkCores(host)
        checkPoolSizes(host)
        if host.othersReadKey == true {
            problems.warning(
                root.place("defaults"), "others can read the hash key file: 'chmod 640' it")
        }
    }

    private func node(of place: HostObstacle.Place) -> Node {
        switch place {
        case .interface: root.place("interfaces")
        case .workers: root.place("workers")
        case .pools: root.place("snat_pools")
        case .vip(let service, let position): places.vips[service][position]
        }
    }

    /// Warns of workers that every frame would cross between NUMA nodes for.
    private func checkCores(_ host: HostFacts) {
        guard let near = host.nodeCPUs else { return }
        let distant = (configuration.workers.cores ?? []).filter { !near.contains($0) }
        guard !distant.isEmpty else { return }
        problems.warning(
            root.place("workers"),
            """
            cores \(KernelText.list(of: distant)) are not on the NUMA node of \
            \(configuration.interface.name): every frame crosses between nodes. Its cores are \
            \(KernelText.list(of: near))
            """)
    }

    /// Warns of pools whose ports are used up before the connection tables are.
    private func checkPoolSizes(_ host: HostFacts) {
        let workers = configuration.interface.queues?.count ?? host.queueCount
        let entries = configuration.connections.entriesPerWorker * workers
        for pool in configuration.snatPools {
            let ports = configuration.connectionsPossible(through: pool)
            guard ports > 0, ports < entries else { continue }
            problems.warning(
                root.place("snat_pools"),
                """
                SNAT pool '\(pool.name)' has ports for \(ports) connections of its services, but \
                the connection tables have \(entries) entries: new connections are dropped \
                (snat_exhausted) before the tables are full. Add addresses to the pool, or lower \
                entries_per_worker
                """)
        }
    }

    private func tunnelWarning(_ service: ServiceConfiguration, _ mtu: Int) -> String {
        let backends = configuration.backends(of: service)
        let overhead = backends.contains { $0.address.family == .ipv6 } ? 40 : 20
        // Of the IP header and the TCP header.
        let headers = service.families.contains(.ipv6) ? 60 : 40
        let name = configuration.interface.name
        let answer =
            configuration.encapsulation.tooBig == .reply ? "draw ICMP too big" : "are dropped"
        return """
            '\(service.name)' encapsulates (\(overhead) bytes) but \(name) has MTU \(mtu): full-size \
            segments \(answer); 'ip link set \(name) mtu \(mtu + overhead)', or advmss \
            \(mtu - overhead - headers) on the backends
            """
    }
}
