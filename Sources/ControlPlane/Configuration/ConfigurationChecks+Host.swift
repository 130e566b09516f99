// SPDX-License-Identifier: Apache-2.0
internal import DataPlane
internal import Yams

/// What only the host can tell.
extension ConfigurationChecks {
    /// Whether the host has what the configuration needs, and nothing that it would cut off.
    func check(_ host: HostFacts) {
        let interface = configuration.interface
        guard let mtu = host.mtu else {
            problems.error(
                root.place("interfaces"), "there is no interface '\(interface.name)' on this host")
            return
        }
        checkInterface(host)
        for core in configuration.workers.cores ?? [] where !host.cpus.contains(core) {
            problems.error(root.place("workers"), "core \(core) is not online or not allowed")
        }
        for (index, service) in configuration.services.enumerated() {
            checkVIPs(index, host)
            if service.mode == .dsr, mtu <= 1500 {
                problems.warning(places.services[index], tunnelWarning(service, mtu))
            }
        }
        checkPools(host)
        if host.othersReadKey == true {
            problems.warning(
                root.place("defaults"), "others can read the hash key file: 'chmod 640' it")
        }
    }

    private func checkInterface(_ host: HostFacts) {
        let interface = configuration.interface
        let place = root.place("interfaces")
        if let queues = interface.queues, queues.count != host.queueCount || queues.first != 0 {
            problems.error(
                place,
                """
                \(interface.name) has \(host.queueCount) RX queues, but \(queues.count) are \
                configured: 'ethtool -L \(interface.name) combined \(queues.count)'
                """)
        }
        if let vlan = interface.vlan, !host.hasVLANDevice {
            problems.error(
                place,
                """
                \(interface.name) has no device for VLAN \(vlan), whose addresses and routes would \
                be used: 'ip link add link \(interface.name) name \(interface.name).\(vlan) type vlan \
                id \(vlan)'
                """)
        }
    }

    private func checkVIPs(_ index: Int, _ host: HostFacts) {
        for (vips, place) in zip(configuration.services[index].vips, places.vips[index]) {
            guard let own = host.addresses.first(where: vips.contains) else { continue }
            problems.error(
                place,
                """
                VIP \(vips.text(with: own, whichIs: "an address of this host")): its own traffic, \
                SSH too, would be cut off
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

    private func checkPools(_ host: HostFacts) {
        for pool in configuration.snatPools {
            let isOwn = pool.addresses.contains { host.addresses.contains($0) }
            guard isOwn, pool.ports.overlaps(host.localPorts) else { continue }
            problems.error(
                root.place("snat_pools"),
                """
                SNAT pool '\(pool.name)' has an address of this host and ports that the kernel hands \
                out (\(host.localPorts.lowerBound)-\(host.localPorts.upperBound))
                """)
        }
    }
}
