// SPDX-License-Identifier: Apache-2.0
internal import DataPlane
internal import struct Foundation.Date

/// An admin state or weight that a command set: it outlives reload and restart until the file
/// changes the same key.
struct BackendOverride: Codable, Equatable, Sendable {
    /// The service that owns the backend.
    var service: String
    /// Its address with optional port.
    var endpoint: String
    /// What the command set, and what the file said then.
    var adminState: Pair<AdminState>?
    var weight: Pair<UInt16>?
    /// Who set it last, and when.
    var user: String
    var date: Date

    /// A value in place of the file's.
    struct Pair<Value: Codable & Equatable & Sendable>: Codable, Equatable, Sendable {
        var value: Value
        /// The value of the file that it was put in place of.
        var file: Value

        /// The value in force when the file says `current`; `nil` when the file was changed since.
        func value(over current: Value) -> Value? { current == file ? value : nil }
    }
}

extension DesiredState {
    /// What a file says, with what commands set before and the file has not changed since.
    init(_ file: Configuration, keeping overrides: [BackendOverride]) {
        self.init(file)
        for override in overrides { keep(override) }
    }

    private mutating func keep(_ override: BackendOverride) {
        guard let endpoint = Endpoint(override.endpoint),
            let service = configuration.services.firstIndex(where: { $0.name == override.service }),
            let backend = configuration.services[service].backends.firstIndex(where: {
                $0.endpoint == endpoint
            })
        else { return }
        var found = configuration.services[service].backends[backend]
        let state = override.adminState?.value(over: found.adminState)
        let weight = override.weight?.value(over: found.weight)
        guard state != nil || weight != nil else { return }
        found.adminState = state ?? found.adminState
        found.weight = weight ?? found.weight
        configuration.services[service].backends[backend] = found
        let key = IdentityRegistry.BackendKey(service: override.service, endpoint: endpoint)
        marks[key] = Mark(user: override.user, date: override.date)
    }

    /// What commands set and the file does not say.
    var overrides: [BackendOverride] {
        configuration.services.flatMap { service in
            service.backends.compactMap { backend in
                guard let said = file.backend(backend.endpoint, of: service.name) else {
                    return nil
                }
                let key = IdentityRegistry.BackendKey(
                    service: service.name, endpoint: backend.endpoint)
                let mark = marks[key]
                let override = BackendOverride(
                    service: service.name, endpoint: backend.endpoint.description,
                    adminState: said.adminState == backend.adminState
                        ? nil : .init(value: backend.adminState, file: said.adminState),
                    weight: said.weight == backend.weight
                        ? nil : .init(value: backend.weight, file: said.weight),
                    user: mark?.user ?? "?", date: mark?.date ?? Date())
                return override.adminState == nil && override.weight == nil ? nil : override
            }
        }
    }
}
