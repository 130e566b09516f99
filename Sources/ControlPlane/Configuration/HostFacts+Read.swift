// SPDX-License-Identifier: Apache-2.0
internal import DataPlane
internal import Foundation
internal import Netlink

extension HostFacts {
    /// Reads the facts that a configuration is checked against.
    public static func read(for configuration: Configuration) -> HostFacts {
        let name = configuration.interface.name
        var addresses: [IPAddress] = []
        var mtu: Int?
        var hasVLANDevice = true
        do throws(NetlinkError) {
            var socket = try NetlinkSocket(for: .requests)
            addresses = try socket.addresses().compactMap { IPAddress(bytes: $0.address) }
            let links = try socket.links()
            let link = links.first { $0.name == name }
            mtu = link?.mtu
            if let vlan = configuration.interface.vlan {
                hasVLANDevice = links.contains { $0.parent == link?.index && $0.vlan == vlan }
            }
        } catch {
            // Without an answer nothing can be said against the configuration.
            mtu = 1500
        }
        return HostFacts(
            addresses: addresses, mtu: mtu, queueCount: queueCount(of: name),
            localPorts: HostSystem.localPorts, cpus: HostSystem.allowedCPUs,
            nodeCPUs: HostSystem.cpus(ofNode: HostSystem.numaNode(ofInterface: name)),
            hasVLANDevice: hasVLANDevice,
            othersReadKey: othersRead(configuration.maglev.hashKeyFile))
    }

    private static func queueCount(of interface: String) -> Int {
        let entries =
            (try? FileManager.default.contentsOfDirectory(
                atPath: "/sys/class/net/\(interface)/queues")) ?? []
        return entries.count { $0.hasPrefix("rx-") }
    }

    private static func othersRead(_ path: String?) -> Bool? {
        guard let path,
            let attributes = try? FileManager.default.attributesOfItem(atPath: path),
            let mode = attributes[.posixPermissions] as? Int
        else { return nil }
        return mode & 0o004 != 0
    }
}
