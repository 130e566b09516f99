// SPDX-License-Identifier: Apache-2.0
internal import DataPlane

/// What becomes of the state when the file is read again.
extension DesiredState {
    /// The state that a file asks for.
    ///
    /// Admin states and weights set by command stay unless the file changed the same key; removed
    /// backends keep their connections for their service's drain timeout.
    ///
    /// - Returns: The state, and the services whose changes by command are overwritten.
    func reloading(
        _ file: Configuration, at now: ContinuousClock.Instant
    ) -> (state: DesiredState, lost: [String]) {
        var next = DesiredState(file, keeping: overrides)
        next.retiring = retiring.filter { old in
            next.effectiveBackends(old.service).map { backends in
                !backends.contains { $0.endpoint == old.configuration.endpoint }
            } ?? false
        }
        for service in next.configuration.services {
            let staying = next.configuration.backends(of: service)
            for backend in effectiveBackends(service.name) ?? []
            where !staying.contains(where: { $0.endpoint == backend.endpoint }) {
                next.retiring.append(
                    RetiringBackend(
                        service: service.name, configuration: backend,
                        deadline: now + service.policy.drainTimeout))
            }
        }
        return (next, servicesChangedByCommand)
    }

    /// The state before another one, with what was removed since on its way out.
    func returning(
        from later: DesiredState, at now: ContinuousClock.Instant
    ) -> DesiredState {
        var next = self
        next.file = later.file
        next.retiring = later.reloading(configuration, at: now).state.retiring
        return next
    }

    private func effectiveBackends(_ name: String) -> [BackendConfiguration]? {
        configuration.services.first { $0.name == name }.map(configuration.backends)
    }

    /// Services that commands made, deleted or changed in more than admin states and weights.
    private var servicesChangedByCommand: [String] {
        let names = Set(configuration.services.map(\.name)).union(file.services.map(\.name))
        return names.filter { name in
            let running = configuration.services.first { $0.name == name }
            let said = file.services.first { $0.name == name }
            return running?.withoutOverrides != said?.withoutOverrides
        }.sorted()
    }

    /// Whether anything runs that the file does not say.
    var differsFromFile: Bool { configuration.services != file.services }
}

extension ServiceConfiguration {
    /// The service without what outlives a reload by itself.
    fileprivate var withoutOverrides: ServiceConfiguration {
        var copy = self
        for index in copy.backends.indices {
            copy.backends[index].adminState = .active
            copy.backends[index].weight = 0
        }
        return copy
    }
}
