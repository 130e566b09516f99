// SPDX-License-Identifier: Apache-2.0
internal import DataPlane
internal import Foundation
internal import HTTPTypes
internal import Hummingbird

/// The routes of the admin API, once for the Unix socket and once, fewer, for TCP.
struct AdminRoutes: Sendable {
    let control: any ControlPlaneService
    let dataPlane: any DataPlaneHandle
    let admin: AdminConfiguration
    let state: AdminRuntime
    let version: String

    /// What of the API a listener serves.
    enum Access {
        /// All of it, by the peer's credentials.
        case unixSocket
        /// Reading, and no client addresses.
        case tcp
    }

    func router(_ access: Access) -> Router<AdminContext> {
        let router = Router(context: AdminContext.self)
        router.add(middleware: AdminErrors(isReadOnly: access == .tcp))
        if access == .unixSocket { router.add(middleware: AdminAccess(admin: admin)) }
        addReads(to: router)
        if access == .unixSocket {
            addConnections(to: router)
            addChanges(to: router)
        }
        return router
    }

    // MARK: Reading

    private func addReads(to router: Router<AdminContext>) {
        router.get("metrics") { _, _ in
            let text = MetricsCollector(try await documents()).text()
            return Response(
                status: .ok, headers: [.contentType: "text/plain; version=0.0.4; charset=utf-8"],
                body: .init(byteBuffer: ByteBuffer(string: text)))
        }
        router.get("healthz") { _, _ in
            Self.text(state.areWorkersAlive(dataPlane.counterPages) ? .ok : .serviceUnavailable)
        }
        router.get("readyz") { _, _ in
            Self.text(try await documents().isReady ? .ok : .serviceUnavailable)
        }
        let api = router.group("api/v1")
        api.get("status") { _, _ in try Self.json(await documents().status()) }
        api.get("services") { _, _ in try Self.json(await documents().services()) }
        api.get("services/{service}") { _, context in
            let documents = try await documents()
            return try Self.json(documents.show(try service(documents.view, context)))
        }
        api.get("services/{service}/backends") { _, context in
            let documents = try await documents()
            return try Self.json(documents.backends(of: try service(documents.view, context)))
        }
        api.get("backends") { _, _ in try Self.json(await documents().backends()) }
        api.get("maglev/{service}") { _, context in
            let documents = try await documents()
            return try Self.json(documents.maglev(try service(documents.view, context)))
        }
        api.get("drops") { _, _ in try Self.json(await documents().drops()) }
        api.get("neighbours") { _, _ in try Self.json(await documents().neighbours()) }
        api.get("workers") { _, _ in try Self.json(await documents().workers()) }
        api.get("interfaces") { _, _ in try Self.json([await documents().interface()]) }
    }

    private func documents() async throws -> AdminDocuments {
        AdminDocuments(
            view: await control.view(), sums: CounterSums(dataPlane.counterPages),
            pages: dataPlane.counterPages, kernel: dataPlane.kernelCounters(),
            facts: dataPlane.facts, rates: state.rates, version: version,
            isStopping: state.isStopping)
    }

    // MARK: Connections

    private func addConnections(to router: Router<AdminContext>) {
        let api = router.group("api/v1")
        api.get("connections") { request, _ in
            let documents = try await documents()
            let query = try ConnectionQuery(request, documents.view)
            let found = await control.connections(query.filter, limit: query.limit)
            let records = query.worker.map { worker in
                found.records.filter { Int($0.worker) == worker }
            }
            return try Self.json(
                documents.connections(
                    records ?? found.records, matched: records?.count ?? found.matched))
        }
        api.get("connections/count") { request, _ in
            let documents = try await documents()
            let query = try ConnectionQuery(request, documents.view)
            let found = await control.connections(query.filter, limit: 0)
            return try Self.json(documents.count(found.matched))
        }
        api.delete("connections") { request, context in
            let documents = try await documents()
            let query = try ConnectionQuery(request, documents.view)
            guard query.hasFilter || request.uri.queryParameters["all"] == "true" else {
                throw ChangeRefused(
                    kind: .invalid, code: "no_filter",
                    message: "flush needs a filter, or all=true. Nothing was changed")
            }
            let user = try await context.peer().name
            return try Self.json(
                documents.flush(await control.flushConnections(query.filter, by: user)))
        }
    }

    // MARK: Changing

    private func addChanges(to router: Router<AdminContext>) {
        let api = router.group("api/v1")
        api.put("services/{service}") { request, context in
            let body = try await Self.body(ServiceUpdateBody.self, request, context)
            let reference = try Self.reference(context)
            return try await change(.updateService(body.update(reference)), request, context)
        }
        api.delete("services/{service}") { request, context in
            let drains = request.uri.queryParameters["drain"] == "true"
            return try await change(
                .deleteService(try Self.reference(context), drain: drains), request, context)
        }
        api.put("services/{service}/mode") { request, context in
            let body = try await Self.body(ModeBody.self, request, context)
            guard let mode = ForwardingMode(body.mode) else {
                throw ChangeRefused(
                    kind: .invalid, code: "mode",
                    message: "mode '\(body.mode)' is neither dsr nor snat", location: "mode")
            }
            return try await change(.setMode(try Self.reference(context), mode), request, context)
        }
        api.patch("services/{service}/backends/{backend}") { request, context in
            let body = try await Self.body(BackendBody.self, request, context)
            let backend = BackendReference(
                service: try Self.reference(context),
                backend: try Self.parameter("backend", context))
            return try await change(try body.change(backend), request, context)
        }
    }

    private func change(
        _ change: Change, _ request: Request, _ context: AdminContext
    ) async throws -> Response {
        let dryRun = request.uri.queryParameters["dry_run"] == "true"
        var generation: UInt64?
        if let condition = request.headers[.ifMatch] {
            guard let wanted = UInt64(condition.filter { $0 != "\"" }) else {
                throw ChangeRefused(
                    kind: .invalid, code: "if_match",
                    message: "If-Match '\(condition)' is no generation")
            }
            generation = wanted
        }
        let report = try await control.apply(
            change, by: try await context.peer().name, ifGeneration: generation, dryRun: dryRun)
        return try Self.json(await documents().change(report))
    }

    // MARK: Requests and answers

    private func service(
        _ view: ControlView, _ context: AdminContext
    ) throws -> ServiceView {
        let reference = try Self.reference(context)
        guard let found = view.service(reference) else { throw Self.notFound(reference, view) }
        return found
    }

    static func notFound(_ reference: ServiceReference, _ view: ControlView) -> ChangeRefused {
        let names = view.services.map(\.configuration.name).joined(separator: ", ")
        return ChangeRefused(
            kind: .notFound, code: "no_such_service",
            message:
                "there is no service \(reference) (services: \(names.isEmpty ? "none" : names))")
    }

    private static func reference(_ context: AdminContext) throws -> ServiceReference {
        ServiceReference(try parameter("service", context))
    }

    private static func parameter(_ name: String, _ context: AdminContext) throws -> String {
        let raw = try context.parameters.require(name)
        return raw.removingPercentEncoding ?? raw
    }

    private static func body<Body: Decodable>(
        _ type: Body.Type, _ request: Request, _ context: AdminContext
    ) async throws -> Body {
        let buffer = try await request.body.collect(upTo: context.maxUploadSize)
        do {
            return try AdminJSON.decode(type, from: Data(buffer.readableBytesView))
        } catch let error as DecodingError {
            throw ChangeRefused(
                kind: .invalid, code: "body",
                message: "the body is not as it should be: \(error.brief)")
        }
    }

    private static func json(_ document: some Encodable) throws -> Response {
        Response(
            status: .ok, headers: [.contentType: "application/json; charset=utf-8"],
            body: .init(byteBuffer: ByteBuffer(bytes: try AdminJSON.encode(document))))
    }

    private static func text(_ status: HTTPResponse.Status) -> Response {
        Response(
            status: status, headers: [.contentType: "text/plain"],
            body: .init(byteBuffer: ByteBuffer(string: status == .ok ? "ok\n" : "not ok\n")))
    }
}

extension ControlView {
    /// The service that is meant; `nil` when there is none.
    func service(_ reference: ServiceReference) -> ServiceView? {
        services.first { service in
            switch reference {
            case .name(let name): service.configuration.name == name
            case .key(let key): service.keys.contains(key)
            }
        }
    }
}

extension DecodingError {
    /// What is wrong in a few words.
    fileprivate var brief: String {
        switch self {
        case .keyNotFound(let key, _): "'\(key.stringValue)' is missing"
        case .typeMismatch(_, let context), .valueNotFound(_, let context):
            "'\(context.codingPath.map(\.stringValue).joined(separator: "."))' is of another type"
        case .dataCorrupted(let context): context.debugDescription
        @unknown default: "\(self)"
        }
    }
}
