// SPDX-License-Identifier: Apache-2.0
internal import DataPlane
internal import Hummingbird

// What requests mean: from the words on the wire to changes and filters.

extension ServiceUpdateBody {
    /// The update that is asked for.
    ///
    /// - Throws: ``ChangeRefused`` for what is no address, mode or number.
    func update(_ service: ServiceReference) throws(ChangeRefused) -> ServiceUpdate {
        var configurations: [BackendConfiguration] = []
        for (index, text) in backends.enumerated() {
            guard let endpoint = Endpoint(text) else {
                throw ChangeRefused(
                    kind: .invalid, code: "backend",
                    message: "backend '\(text)' is no IP or IP:PORT. Nothing was changed",
                    location: "backends[\(index)]")
            }
            configurations.append(
                BackendConfiguration(address: endpoint.address, port: endpoint.port))
        }
        var update = ServiceUpdate(service: service, backends: configurations)
        update.name = name
        update.snatPool = snatPool
        if let mode {
            guard let known = ForwardingMode(mode) else {
                throw ChangeRefused(
                    kind: .invalid, code: "mode",
                    message: "mode '\(mode)' is neither dsr nor snat. Nothing was changed",
                    location: "mode")
            }
            update.mode = known
        }
        if let seconds = drainTimeoutSeconds {
            guard (0...31_536_000).contains(seconds) else {
                throw ChangeRefused(
                    kind: .invalid, code: "drain_timeout",
                    message: "a drain timeout of \(seconds) s is not within 0 s and a year",
                    location: "drain_timeout_seconds")
            }
            update.drainTimeout = .milliseconds(Int64(seconds * 1000))
        }
        return update
    }
}

extension BackendBody {
    /// The change that is asked for.
    ///
    /// - Throws: ``ChangeRefused`` when it is none, both, or of unknown words.
    func change(_ backend: BackendReference) throws(ChangeRefused) -> Change {
        switch (adminState, weight) {
        case (let state?, nil):
            guard let known = AdminState(rawValue: state) else {
                throw ChangeRefused(
                    kind: .invalid, code: "admin_state",
                    message: "admin state '\(state)' is none of active, draining, disabled",
                    location: "admin_state")
            }
            return .setAdminState(backend, known)
        case (nil, let weight?):
            guard let known = UInt16(exactly: weight) else {
                throw ChangeRefused(
                    kind: .invalid, code: "weight",
                    message: "weight \(weight) is outside 0...65535", location: "weight")
            }
            return .setWeight(backend, known)
        default:
            throw ChangeRefused(
                kind: .invalid, code: "body", message: "give either admin_state or weight")
        }
    }
}

/// Which connections a request means.
struct ConnectionQuery {
    var filter = ConnectionFilter()
    var limit = 1000
    var worker: Int?
    var hasFilter = false

    /// Reads `service`, `backend`, `client`, `state`, `worker` and `limit`.
    init(_ request: Request, _ view: ControlView) throws(ChangeRefused) {
        let query = request.uri.queryParameters
        func value(_ name: String) -> String? { query[Substring(name)].map(String.init) }

        var service: ServiceView?
        if let text = value("service") {
            let reference = ServiceReference(text)
            guard let found = view.service(reference) else {
                throw AdminRoutes.notFound(reference, view)
            }
            service = found
            filter.service = found.id
        }
        if let text = value("backend") {
            filter.backend = try Self.backend(text, service, view).id
        }
        if let text = value("client") {
            guard let address = IPAddress(text) else {
                throw Self.invalid("client", "'\(text)' is no IP address")
            }
            filter.client = address
        }
        if let text = value("state") {
            guard let state = ConnectionState.allCases.first(where: { $0.token == text }) else {
                let words = ConnectionState.allCases.dropFirst().map(\.token)
                throw Self.invalid(
                    "state", "'\(text)' is none of \(words.joined(separator: ", "))")
            }
            filter.state = state
        }
        if let text = value("worker") {
            guard let number = Int(text), number >= 0 else {
                throw Self.invalid("worker", "'\(text)' is no number of a worker")
            }
            worker = number
        }
        if let text = value("limit") {
            guard let number = Int(text), (0...ConnectionScan.maximumLimit).contains(number) else {
                throw Self.invalid(
                    "limit", "'\(text)' is not within 0...\(ConnectionScan.maximumLimit)")
            }
            limit = number
        }
        hasFilter = filter != ConnectionFilter()
    }

    private static func invalid(_ parameter: String, _ message: String) -> ChangeRefused {
        ChangeRefused(
            kind: .invalid, code: parameter, message: "\(parameter) \(message)",
            location: parameter)
    }

    private static func backend(
        _ text: String, _ service: ServiceView?, _ view: ControlView
    ) throws(ChangeRefused) -> BackendView {
        var name = text
        var services = service.map { [$0] } ?? view.services
        if service == nil, let reference = BackendReference(text) {
            guard let found = view.service(reference.service) else {
                throw AdminRoutes.notFound(reference.service, view)
            }
            services = [found]
            name = reference.backend
        }
        let endpoint = Endpoint(name)
        for service in services {
            for backend in service.backends
            where backend.configuration.name == name || backend.configuration.endpoint == endpoint
                || endpoint?.port == nil && backend.configuration.address == endpoint?.address
            {
                return backend
            }
        }
        throw ChangeRefused(
            kind: .notFound, code: "no_such_backend", message: "there is no backend \(text)")
    }
}
