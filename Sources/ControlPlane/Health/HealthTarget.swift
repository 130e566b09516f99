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

extension HealthTarget {
    /// What to probe of services that have health checks; backends that share another service's
    /// are probed once, as the owner's.
    ///
    /// - Parameters:
    ///   - services: As they run.
    ///   - encapsulation: What says where tunnels come from.
    ///   - observed: The interface's addresses and MTU.
    /// - Returns: One for each backend.
    static func targets(
        of services: [SnapshotCompiler.CompiledService],
        _ encapsulation: EncapsulationConfiguration, _ observed: ObservedState
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
                        way: way(
                            to: backend.configuration, of: service.configuration, encapsulation,
                            observed)))
            }
        }
        return targets
    }

    private static func way(
        to backend: BackendConfiguration, of service: ServiceConfiguration,
        _ encapsulation: EncapsulationConfiguration, _ observed: ObservedState
    ) -> Way {
        let health = service.policy.health
        let port = service.probedPort(health) ?? 0
        if health.isTunnelled(in: service.mode),
            let tunnel = Tunnel(to: backend, of: service, port: port, encapsulation, observed)
        {
            return .tunnel(tunnel)
        }
        return .direct(port: health.port ?? backend.port ?? port)
    }
}
