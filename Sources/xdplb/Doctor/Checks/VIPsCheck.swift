// SPDX-License-Identifier: Apache-2.0
internal import ControlPlane
internal import DataPlane
internal import Netlink

/// Whether the host's own traffic stays its own.
struct VIPsCheck: DoctorCheck {
    /// An address of this host.
    struct Own: Equatable, Sendable {
        var interface: String
        var address: IPAddress
        var prefixLength: Int
    }

    var services: [ServiceConfiguration]
    var addresses: [Own]
    var listeners: [Listener]

    private static let check = "vips"

    var findings: [Finding] {
        let vips = services.flatMap { service in service.vips.map { (service, $0) } }
        let findings = vips.flatMap { service, vips in
            addresses.filter { vips.contains($0.address) }.map { localFinding(service, vips, $0) }
                + listeners.filter { isHidden($0, by: service, vips) }.map {
                    hiddenFinding(service, $0)
                }
        }
        guard findings.isEmpty else { return findings }
        let count = Set(vips.map(\.1)).count
        return [
            .ok(
                Self.check,
                count == 0
                    ? "no VIP is configured"
                    : "\(count) VIP\(count == 1 ? "" : "s"), none an address of this host")
        ]
    }

    private func localFinding(
        _ service: ServiceConfiguration, _ vips: IPPrefix, _ own: Own
    ) -> Finding {
        let command = "ip addr del \(own.address)/\(own.prefixLength) dev \(own.interface)"
        return .fail(
            Self.check,
            """
            \(service.name): VIP \(vips.text(with: own.address, whichIs: "an address of this host")), \
            on \(own.interface)
            """,
            "\(HostObstacle.cutsOff); start is refused",
            vips.isHost ? Remedy(command) : Remedy(words: "other VIPs, or '\(command)'"))
    }

    /// Listeners on all addresses keep what is to the host's own ones.
    private func isHidden(
        _ listener: Listener, by service: ServiceConfiguration, _ vips: IPPrefix
    ) -> Bool {
        vips.contains(listener.address)
            && service.ports.contains {
                $0.transport == listener.transport && $0.ports.contains(listener.port)
            }
    }

    private func hiddenFinding(_ service: ServiceConfiguration, _ listener: Listener) -> Finding {
        let endpoint = Endpoint(address: listener.address, port: listener.port)
        return .warn(
            Self.check,
            "\(service.name): something on this host listens at \(endpoint)/\(listener.transport)",
            "the service hides it: nobody reaches it over the network",
            Remedy(words: "'ss -lnp' tells which process; have it listen at an address of the host")
        )
    }
}

extension VIPsCheck {
    init(reading subject: DoctorSubject) {
        services = subject.configuration.services
        listeners = Listener.all()
        addresses = []
        guard var socket = try? NetlinkSocket(for: .requests), let links = try? socket.links(),
            let found = try? socket.addresses()
        else { return }
        addresses = found.compactMap { message in
            guard let address = IPAddress(bytes: message.address) else { return nil }
            return Own(
                interface: links.first { $0.index == message.interface }?.name ?? "?",
                address: address, prefixLength: message.prefixLength)
        }
    }
}
