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
        next.ending = ending.intersection(next.configuration.services.map(\.name))
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
    ///
    /// Admin states and weights that commands set since stay, but for keys that the file changed.
    ///
    /// - Returns: The state, and the services whose other changes by command since are overwritten.
    func returning(
        from later: DesiredState, at now: ContinuousClock.Instant
    ) -> (state: DesiredState, lost: [String]) {
        var next = self
        for service in configuration.services.indices {
            next.takeCommands(of: later, for: service)
        }
        next.marks.merge(later.marks) { _, new in new }
        next.isFileUnapplied = true
        let onTheWayOut = later.reloading(next.configuration, at: now).state
        next.retiring = onTheWayOut.retiring
        next.ending = onTheWayOut.ending
        return (next, later.servicesChangedByCommand)
    }

    /// Gives a service's backends the admin states and weights that they have in a later state,
    /// where both files say the same of them.
    private mutating func takeCommands(of later: DesiredState, for service: Int) {
        let name = configuration.services[service].name
        for index in configuration.services[service].backends.indices {
            let endpoint = configuration.services[service].backends[index].endpoint
            guard let said = file.backend(endpoint, of: name),
                let saidLater = later.file.backend(endpoint, of: name),
                let current = later.configuration.backend(endpoint, of: name)
            else { continue }
            if said.adminState == saidLater.adminState {
                configuration.services[service].backends[index].adminState = current.adminState
            }
            if said.weight == saidLater.weight {
                configuration.services[service].backends[index].weight = current.weight
            }
        }
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
    var differsFromFile: Bool { isFileUnapplied || configuration.services != file.services }
}

extension Configuration {
    /// A backend in a service's own list.
    func backend(_ endpoint: Endpoint, of service: String) -> BackendConfiguration? {
        services.first { $0.name == service }?.backends.first { $0.endpoint == endpoint }
    }
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
