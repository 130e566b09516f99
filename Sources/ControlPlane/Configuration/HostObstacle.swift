// SPDX-License-Identifier: Apache-2.0
public import DataPlane

/// Why a configuration cannot run on this host.
///
/// Asked for before a file is applied, and again at the start: what was checked on one day need not
/// be so on another.
public struct HostObstacle: Equatable, Sendable {
    /// What of the configuration is at fault.
    public enum Place: Equatable, Sendable {
        /// The interface.
        case interface
        /// The workers.
        case workers
        /// A SNAT pool, or all of them.
        case pools
        /// A VIP, by the positions of its service and of itself.
        case vip(service: Int, position: Int)
    }

    /// What of the configuration is at fault.
    public var place: Place
    /// The fact, what follows from it, and what to do.
    public var text: String

    /// Says what follows from a VIP that the host has itself.
    public static let cutsOff = "traffic to the host itself, SSH too, would be cut off"
}

extension Configuration {
    /// What of this host is in the way of this configuration, the interface first; none when it can
    /// run.
    public func obstacles(on host: HostFacts) -> [HostObstacle] {
        guard host.mtu != nil else {
            return [
                HostObstacle(
                    place: .interface,
                    text: "there is no interface '\(interface.name)' on this host")
            ]
        }
        return interfaceObstacles(host) + workerObstacles(host) + vipObstacles(host.addresses)
            + poolObstacles(host)
    }

    private func interfaceObstacles(_ host: HostFacts) -> [HostObstacle] {
        var texts: [String] = []
        let all = Array(0..<host.queueCount)
        if let queues = interface.queues, queues != all {
            let list = KernelText.list(of: queues)
            texts.append(
                """
                \(interface.name) has \(host.queueCount) RX queues, but queues \(list) are \
                configured: traffic on others would bypass xdplb. 'ethtool -L \(interface.name) \
                combined \(queues.count)' makes them match, or 'queues: all'
                """)
        }
        if let vlan = interface.vlan, !host.hasVLANDevice {
            texts.append(
                """
                \(interface.name) has no device for VLAN \(vlan), whose addresses and routes would \
                be used: 'ip link add link \(interface.name) name \(interface.name).\(vlan) type \
                vlan id \(vlan)'
                """)
        }
        return texts.map { HostObstacle(place: .interface, text: $0) }
    }

    private func workerObstacles(_ host: HostFacts) -> [HostObstacle] {
        (workers.cores ?? []).filter { !host.cpus.contains($0) }.map {
            HostObstacle(place: .workers, text: "core \($0) is not online or not allowed")
        }
    }

    private func vipObstacles(_ addresses: [IPAddress]) -> [HostObstacle] {
        services.indices.flatMap { index in
            services[index].vips.enumerated().compactMap { position, vips in
                addresses.first(where: vips.contains).map { own in
                    HostObstacle(
                        place: .vip(service: index, position: position),
                        text: services[index].obstacle(of: vips, own))
                }
            }
        }
    }

    private func poolObstacles(_ host: HostFacts) -> [HostObstacle] {
        let local = host.localPorts
        return snatPools.filter { pool in
            pool.ports.overlaps(local) && pool.addresses.contains { host.addresses.contains($0) }
        }.map { pool in
            HostObstacle(
                place: .pools,
                text: """
                    SNAT pool '\(pool.name)' has an address of this host and ports that the kernel \
                    hands out (\(local.lowerBound)-\(local.upperBound)): give it other 'ports', or \
                    narrow net.ipv4.ip_local_port_range
                    """)
        }
    }
}

extension ServiceConfiguration {
    /// Says that an address of the host is among its VIPs.
    func obstacle(of vips: IPPrefix, _ own: IPAddress) -> String {
        """
        \(name): VIP \(vips.text(with: own, whichIs: "an address of this host")): \
        \(HostObstacle.cutsOff)
        """
    }
}
