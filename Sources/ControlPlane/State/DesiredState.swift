// SPDX-License-Identifier: Apache-2.0
internal import DataPlane
internal import struct Foundation.Date

/// What is wanted: the configuration as it runs, and what is on its way out.
struct DesiredState: Sendable {
    /// A backend that was removed and keeps its connections for a while.
    struct RetiringBackend: Sendable {
        var service: String
        var configuration: BackendConfiguration
        /// When its connections end, by a clock that nobody sets.
        var deadline: ContinuousClock.Instant
    }

    /// Who changed a backend last, and when.
    struct Mark: Sendable {
        var user: String
        var date: Date
    }

    /// What runs.
    var configuration: Configuration
    /// What the file said that was applied last, or the arguments.
    var file: Configuration
    /// Whether the file was changed since, applied, and undone as nobody confirmed it.
    var isFileUnapplied = false
    var retiring: [RetiringBackend] = []
    /// Services that are deleted when their connections have ended, and take no new ones.
    var ending: Set<String> = []
    var marks: [IdentityRegistry.BackendKey: Mark] = [:]

    init(_ configuration: Configuration) {
        self.configuration = configuration
        file = configuration
    }

    /// Index of the service that is meant.
    func index(of reference: ServiceReference) throws(ChangeRefused) -> Int {
        if let index = reference.index(in: configuration.services) { return index }
        let names = configuration.services.map(\.name).joined(separator: ", ")
        throw ChangeRefused(
            kind: .notFound, code: "no_such_service",
            message: """
                there is no service \(reference) (services: \(names.isEmpty ? "none" : names)). \
                Nothing was changed
                """)
    }

    /// Index of the backend that is meant, in its service's list.
    private func index(
        of reference: String, in service: ServiceConfiguration
    ) throws(ChangeRefused) -> Int {
        let endpoint = Endpoint(reference)
        let found = service.backends.firstIndex { backend in
            backend.name == reference || backend.endpoint == endpoint
                || endpoint?.port == nil && backend.address == endpoint?.address
        }
        if let found { return found }
        let names = service.backends.map(\.name).joined(separator: ", ")
        throw ChangeRefused(
            kind: .notFound, code: "no_such_backend",
            message: """
                service \(service.name) has no backend \(reference) (backends: \
                \(names.isEmpty ? "none" : names)). Nothing was changed
                """)
    }

    // MARK: Changes

    /// The state after a change, and what there is to say about it.
    ///
    /// - Throws: When the change makes no sense here; the receiver stays as it is.
    func applying(
        _ change: Change, by user: String, at date: Date, now: ContinuousClock.Instant = .now
    ) throws(ChangeRefused) -> (state: DesiredState, line: String) {
        var next = self
        let line =
            switch change {
            case .updateService(let update): try next.update(update, now)
            case .deleteService(let reference, _): try next.delete(reference)
            case .setAdminState(let reference, let state):
                try next.change(reference, user, date) { backend in
                    backend.adminState = state
                    return "\(state.rawValue)"
                }
            case .setWeight(let reference, let weight):
                try next.change(reference, user, date) { backend in
                    defer { backend.weight = weight }
                    return "weight \(backend.weight) -> \(weight)"
                }
            case .setMode(let reference, let mode): try next.setMode(reference, mode)
            }
        return (next, line)
    }

    /// Where a backend is that is meant: its owner's index among the services, and its own there.
    private func indices(
        of reference: BackendReference
    ) throws(ChangeRefused) -> (owner: Int, backend: Int) {
        let service = try index(of: reference.service)
        let owner =
            configuration.services[service].backendsFrom
            .flatMap { name in configuration.services.firstIndex { $0.name == name } } ?? service
        return (owner, try index(of: reference.backend, in: configuration.services[owner]))
    }

    /// The names of a backend that is meant, and of the service that owns it.
    func names(
        of reference: BackendReference
    ) throws(ChangeRefused) -> (service: String, backend: String) {
        let (owner, backend) = try indices(of: reference)
        let service = configuration.services[owner]
        return (service.name, service.backends[backend].name)
    }

    private mutating func change(
        _ reference: BackendReference, _ user: String, _ date: Date,
        _ body: (inout BackendConfiguration) -> String
    ) throws(ChangeRefused) -> String {
        let (owner, backend) = try indices(of: reference)
        let what = body(&configuration.services[owner].backends[backend])
        let changed = configuration.services[owner].backends[backend]
        let key = IdentityRegistry.BackendKey(
            service: configuration.services[owner].name, endpoint: changed.endpoint)
        marks[key] = Mark(user: user, date: date)
        return "\(configuration.services[owner].name)/\(changed.name): \(what)"
    }

    private mutating func setMode(
        _ reference: ServiceReference, _ mode: ForwardingMode
    ) throws(ChangeRefused) -> String {
        let service = try index(of: reference)
        let before = configuration.services[service].mode
        configuration.services[service].mode = mode
        let changed = configuration.services[service]
        try check(changed)
        return before == mode
            ? "\(changed.name): mode is \(mode) already"
            : "\(changed.name): mode \(before) -> \(mode); each connection ends in the mode it began in"
    }

    @discardableResult
    mutating func delete(_ reference: ServiceReference) throws(ChangeRefused) -> String {
        let index = try deletableIndex(of: reference)
        let name = configuration.services[index].name
        if let user = configuration.services.first(where: { $0.backendsFrom == name }) {
            throw ChangeRefused(
                kind: .conflict, code: "service_in_use",
                message: """
                    service \(user.name) has its backends from \(name); delete \(user.name) first. \
                    Nothing was changed
                    """)
        }
        configuration.services.remove(at: index)
        retiring.removeAll { $0.service == name }
        ending.remove(name)
        return "\(name): deleted"
    }

    private mutating func update(
        _ update: ServiceUpdate, _ now: ContinuousClock.Instant
    ) throws(ChangeRefused) -> String {
        guard let index = update.service.exactIndex(in: configuration.services) else {
            return try create(update)
        }
        var service = configuration.services[index]
        guard service.backendsFrom == nil else {
            throw ChangeRefused(
                kind: .conflict, code: "shared_backends",
                message: """
                    \(service.name) has its backends from \(service.backendsFrom ?? ""): update \
                    that one. Nothing was changed
                    """)
        }
        var removed: [BackendConfiguration] = []
        var kept: [BackendConfiguration] = []
        for backend in service.backends {
            if update.backends.contains(where: { $0.endpoint == backend.endpoint }) {
                kept.append(backend)
            } else {
                removed.append(backend)
            }
        }
        let added = update.backends.filter { new in
            !kept.contains { $0.endpoint == new.endpoint }
        }
        // Kept ones keep their name, weight and admin state unless the update names a weight.
        service.backends = update.backends.map { new in
            kept.first { $0.endpoint == new.endpoint } ?? new
        }
        let before = service.mode
        service.mode = update.mode ?? service.mode
        service.snatPool = update.snatPool ?? service.snatPool
        configuration.services[index] = service
        // Services that share the backends have connections of their own with them.
        let sharing = configuration.services.filter { $0.backendsFrom == service.name }
        for changed in [service] + sharing { try check(changed) }

        let deadline = now + (update.drainTimeout ?? service.policy.drainTimeout)
        for owner in [service.name] + sharing.map(\.name) {
            retiring.removeAll { old in
                old.service == owner
                    && service.backends.contains { $0.endpoint == old.configuration.endpoint }
            }
            retiring += removed.map {
                RetiringBackend(service: owner, configuration: $0, deadline: deadline)
            }
        }
        return Self.describe(update.service, removed, added, before, service.mode)
    }

    private mutating func create(_ update: ServiceUpdate) throws(ChangeRefused) -> String {
        guard case .key(let key) = update.service else {
            throw ChangeRefused(
                kind: .notFound, code: "no_such_service",
                message: """
                    there is no service \(update.service); a new one needs its key, such as \
                    '--vip 40.1.1.1:80/tcp'. Nothing was changed
                    """)
        }
        let service = ServiceConfiguration(
            name: update.name ?? key.description, vips: [key.vips],
            ports: [ServicePort(ports: key.ports, transport: key.transport)],
            mode: update.mode ?? configuration.defaultMode, snatPool: update.snatPool,
            policy: configuration.defaultPolicy, backends: update.backends)
        guard Names.isName(service.name) else {
            throw ChangeRefused(
                kind: .invalid, code: "name",
                message: "name '\(service.name)' is not \(Names.rule). Nothing was changed")
        }
        guard !configuration.services.contains(where: { $0.name == service.name }) else {
            throw ChangeRefused(
                kind: .conflict, code: "name_taken",
                message: "there is a service named \(service.name) already. Nothing was changed")
        }
        let taken = configuration.services.first { other in
            other.keys.contains { $0.conflicts(with: key) }
        }
        if let taken {
            throw ChangeRefused(
                kind: .conflict, code: "key_taken",
                message: """
                    \(key) overlaps service \(taken.name). To change that service, give its name in \
                    place of the key. Nothing was changed
                    """)
        }
        try check(service)
        configuration.services.append(service)
        return """
            \(service.name): created, mode \(service.mode), \(service.backends.count) \
            backend\(service.backends.count == 1 ? "" : "s")
            """
    }

    private static func describe(
        _ reference: ServiceReference, _ removed: [BackendConfiguration],
        _ added: [BackendConfiguration], _ before: ForwardingMode, _ after: ForwardingMode
    ) -> String {
        func count(_ backends: [BackendConfiguration], _ verb: String) -> String? {
            guard !backends.isEmpty else { return nil }
            let names = backends.map { $0.endpoint.description }.joined(separator: ", ")
            return "\(backends.count) backend\(backends.count == 1 ? "" : "s") \(verb) (\(names))"
        }
        let mode = before == after ? "mode \(after) unchanged" : "mode \(before) -> \(after)"
        let parts = [count(removed, "removed"), count(added, "added"), mode].compactMap { $0 }
        return "\(reference): \(parts.joined(separator: ", "))"
    }
}

extension BackendConfiguration {
    var endpoint: Endpoint { Endpoint(address: address, port: port) }
}

extension Duration {
    /// The duration as a number of seconds.
    var seconds: Double {
        Double(components.seconds) + Double(components.attoseconds) * 1e-18
    }

    /// Whole milliseconds, at most what 24 days have, which is what idle times may be.
    var clampedMilliseconds: UInt32 {
        UInt32(max(0, min(seconds * 1000, Double(Int32.max))))
    }
}
