// SPDX-License-Identifier: Apache-2.0
internal import ControlPlane
internal import DataPlane
internal import XSKRing

/// Whether the NIC spreads flows over its queues (receive-side scaling).
struct HashCheck: DoctorCheck {
    var interface: String
    var queueCount: Int
    var hash: HashFacts
    /// Families of the VIPs that UDP services have.
    var udpFamilies: Set<AddressFamily>
    var hasSNAT: Bool

    private static let check = "rss"

    var findings: [Finding] {
        guard queueCount > 1 else {
            return [.ok(Self.check, "\(interface): one queue, nothing to spread")]
        }
        let findings = [
            udp(.ipv4, hash.ipv4Ports, "udp4"), udp(.ipv6, hash.ipv6Ports, "udp6"), key,
        ].compactMap { $0 }
        guard findings.isEmpty else { return findings }
        guard hash.ipv4Ports != nil || hash.ipv6Ports != nil else {
            return [
                .info(Self.check, "\(interface): the driver does not tell how it spreads flows")
            ]
        }
        return [.ok(Self.check, "\(interface): ports count for UDP; the hash key is readable")]
    }

    private func udp(_ family: AddressFamily, _ ports: Bool?, _ name: String) -> Finding? {
        guard ports == false, udpFamilies.contains(family) else { return nil }
        return .warn(
            Self.check, "\(name) hashed on addresses only", "clients behind one NAT share a core",
            Remedy("ethtool -N \(interface) rx-flow-hash \(name) sdfn"))
    }

    private var key: Finding? {
        guard hasSNAT, !hash.hasKey, hash.ipv4Ports != nil || hash.ipv6Ports != nil else {
            return nil
        }
        return .info(
            Self.check, "\(interface): the hash key cannot be read",
            "replies of snat may arrive at another worker, and are handed over")
    }
}

extension HashCheck {
    init(reading subject: DoctorSubject) {
        interface = subject.name
        queueCount = subject.interface.rxQueueCount
        hash = HashFacts(interface: subject.name)
        let udp = subject.configuration.services.filter { service in
            service.ports.contains { $0.transport == .udp }
        }
        udpFamilies = Set(udp.flatMap { $0.vips.map(\.family) })
        hasSNAT = subject.uses(.snat)
    }
}
