// SPDX-License-Identifier: Apache-2.0
internal import DataPlane
internal import Hummingbird

/// The parameters of a request, all of which are known and given once.
///
/// Strict, as a misspelt `dry_run` or filter would otherwise do more than was asked for.
struct AdminQuery {
    private var values: [String: String] = [:]

    /// Reads the parameters of a request.
    ///
    /// - Throws: ``ChangeRefused`` with the one that is unknown or given twice.
    init(_ request: Request, allowing known: Set<String>) throws(ChangeRefused) {
        for (key, value) in request.uri.queryParameters {
            let name = String(key)
            guard known.contains(name) else {
                throw Self.invalid(
                    name, "is unknown (known: \(known.sorted().joined(separator: ", ")))")
            }
            guard values.updateValue(String(value), forKey: name) == nil else {
                throw Self.invalid(name, "is given twice")
            }
        }
    }

    /// The value of a parameter; `nil` when it was not given.
    subscript(name: String) -> String? { values[name] }

    /// Whether a parameter is `true`; no when it was not given.
    func flag(_ name: String) throws(ChangeRefused) -> Bool {
        switch values[name] {
        case nil, "false": return false
        case "true": return true
        case let value?: throw Self.invalid(name, "'\(value)' is neither true nor false")
        }
    }

    /// A refusal that names a parameter.
    static func invalid(_ name: String, _ message: String) -> ChangeRefused {
        ChangeRefused(
            kind: .invalid, code: "parameter",
            message: "parameter \(name) \(message). Nothing was changed", location: name)
    }
}

/// Which connections a request means.
struct ConnectionQuery {
    /// Parameters that narrow the connections down.
    static let filters: Set = ["service", "backend", "client", "state", "worker", "in_use"]

    var filter = ConnectionFilter()
    var limit = 1000

    /// Reads the filters and `limit`.
    ///
    /// - Throws: ``ChangeRefused`` when one names nothing that there is.
    init(_ query: AdminQuery, _ documents: AdminDocuments) throws(ChangeRefused) {
        let view = documents.view
        var service: ServiceView?
        if let text = query["service"] {
            let found = try view.required(ServiceReference(text))
            service = found
            filter.service = found.id
        }
        if let text = query["backend"] {
            filter.backend = try Self.backend(text, service, view).id
        }
        if let text = query["client"] {
            guard let address = IPAddress(text) else {
                throw AdminQuery.invalid("client", "'\(text)' is not an IP address")
            }
            filter.client = address
        }
        if let text = query["state"] { filter.state = try Self.state(text) }
        if let text = query["worker"] {
            let workers = documents.facts.workers.count
            guard let number = UInt16(text), number < workers else {
                throw AdminQuery.invalid("worker", "'\(text)' is not within 0...\(workers - 1)")
            }
            filter.worker = number
        }
        filter.isInUse = try query.flag("in_use")
        if let text = query["limit"] {
            guard let number = Int(text), (0...ConnectionScan.maximumLimit).contains(number) else {
                throw AdminQuery.invalid(
                    "limit", "'\(text)' is not within 0...\(ConnectionScan.maximumLimit)")
            }
            limit = number
        }
    }

    private static func state(_ text: String) throws(ChangeRefused) -> ConnectionState {
        let states = ConnectionState.allCases.filter { $0 != .free }
        guard let state = states.first(where: { $0.token == text }) else {
            let words = states.map(\.token).joined(separator: ", ")
            throw AdminQuery.invalid("state", "'\(text)' is not one of \(words)")
        }
        return state
    }

    /// A backend by its name or address, within `service` or as `SERVICE/BACKEND`.
    static func backend(
        _ text: String, _ service: ServiceView?, _ view: ControlView
    ) throws(ChangeRefused) -> BackendView {
        var name = text
        var services = service.map { [$0] } ?? view.services
        if service == nil, let reference = BackendReference(text) {
            services = [try view.required(reference.service)]
            name = reference.backend
        }
        let candidates = services.flatMap(\.backends)
        let endpoint = Endpoint(name)
        var found = candidates.filter {
            $0.configuration.name == name || $0.configuration.endpoint == endpoint
        }
        if found.isEmpty, let endpoint, endpoint.port == nil {
            found = candidates.filter { $0.configuration.address == endpoint.address }
        }
        guard let backend = found.first else {
            throw ChangeRefused(
                kind: .notFound, code: "no_such_backend", message: "there is no backend \(text)",
                location: "backend")
        }
        guard found.allSatisfy({ $0.id == backend.id }) else {
            throw ChangeRefused(
                kind: .conflict, code: "ambiguous_backend",
                message: "\(found.count) backends are meant by \(text); give SERVICE/NAME",
                location: "backend")
        }
        return backend
    }
}
