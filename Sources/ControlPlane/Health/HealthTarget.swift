// SPDX-License-Identifier: Apache-2.0
internal import DataPlane

/// A backend to be probed, and how.
struct HealthTarget: Equatable, Sendable {
    /// The way a probe takes.
    enum Way: Hashable, Sendable {
        /// To the backend's own address.
        case direct(port: UInt16)
        /// To the VIP, inside the backend's tunnel, as the traffic goes.
        case tunnel(Tunnel)
    }

    /// The backend: the service that owns it, and its endpoint.
    var key: IdentityRegistry.BackendKey
    /// Its name, for events.
    var name: String
    /// How it is probed.
    var configuration: HealthConfiguration
    /// The way a probe takes.
    var way: Way
    /// Whether it counts as healthy until probes say otherwise: it served before it was probed.
    var isTrusted = false
}

/// A tunnel to a backend, and what is sent inside.
struct Tunnel: Hashable, Sendable {
    /// Destination of the inner packet.
    var vip: IPAddress
    /// Its port.
    var port: UInt16
    /// Source of the inner packet: the interface's address of the VIP's family.
    var source: IPAddress
    /// Destination of the outer packet.
    var backend: IPAddress
    /// Source of the outer packet: the interface's address of the backend's family.
    var outerSource: IPAddress
    /// Bytes of the largest inner packet that fits the interface's MTU.
    var largestPacket: Int
}

extension HealthTarget {
    /// What to probe of services that have health checks; backends that share another service's
    /// are probed once, as the owner's.
    ///
    /// - Parameters:
    ///   - services: As they run.
    ///   - observed: The interface's addresses and MTU.
    /// - Returns: One for each backend.
    static func targets(
        of services: [SnapshotCompiler.CompiledService], _ observed: ObservedState
    ) -> [HealthTarget] {
        var targets: [HealthTarget] = []
        for service in services where service.configuration.backendsFrom == nil {
            let health = service.configuration.policy.health
            guard health.kind != .none else { continue }
            for backend in service.backends
            where !backend.isRemoved && backend.configuration.adminState != .disabled {
                targets.append(
                    HealthTarget(
                        key: .init(
                            service: service.configuration.name,
                            endpoint: backend.configuration.endpoint),
                        name: backend.configuration.name, configuration: health,
                        way: way(to: backend.configuration, of: service.configuration, observed)))
            }
        }
        return targets
    }

    private static func way(
        to backend: BackendConfiguration, of service: ServiceConfiguration,
        _ observed: ObservedState
    ) -> Way {
        let health = service.policy.health
        let port = service.probedPort(health) ?? 0
        if health.isTunnelled(in: service.mode), let vip = service.vips.first?.network,
            let source = observed.address(vip.family),
            let outerSource = observed.address(backend.address.family)
        {
            let overhead = backend.address.family == .ipv4 ? 20 : 40
            return .tunnel(
                Tunnel(
                    vip: vip, port: port, source: source, backend: backend.address,
                    outerSource: outerSource, largestPacket: observed.mtu - overhead))
        }
        return .direct(port: health.port ?? backend.port ?? port)
    }
}
