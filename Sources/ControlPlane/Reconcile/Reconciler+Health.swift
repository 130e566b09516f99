// SPDX-License-Identifier: Apache-2.0
internal import DataPlane

/// What is probed, and what probes mean for the plan.
extension Reconciler {
    /// Backends of services without a health check: they count as healthy, and go on doing so when
    /// the service gets one until probes say otherwise.
    func unprobed() -> SnapshotCompiler.HealthTable {
        var table: SnapshotCompiler.HealthTable = [:]
        for service in running.services
        where service.configuration.policy.health.kind == .none
            && service.configuration.backendsFrom == nil
        {
            for backend in service.backends where !backend.isRemoved {
                table[service.key(of: backend)] = .healthy
            }
        }
        return table
    }

    /// Has the backends of the running generation probed.
    ///
    /// - Parameter trusted: Those that count as healthy until probes say otherwise.
    func probe(trusting trusted: SnapshotCompiler.HealthTable = [:]) {
        guard let checker else { return }
        var targets = HealthTarget.targets(
            of: running.services, desired.configuration.encapsulation, observed)
        let before = health
        health = [:]
        for index in targets.indices {
            let key = targets[index].key
            targets[index].isTrusted = trusted[key] == .healthy
            health[key] = before[key] ?? (targets[index].isTrusted ? .healthy : .unknown)
        }
        checker.probe(targets)
    }
}

extension SnapshotCompiler.CompiledService {
    /// Whether it has as many eligible backends as it needs.
    var isUp: Bool { members.count >= configuration.neededBackends }

    func key(of backend: SnapshotCompiler.CompiledBackend) -> IdentityRegistry.BackendKey {
        .init(service: configuration.name, endpoint: backend.configuration.endpoint)
    }
}
