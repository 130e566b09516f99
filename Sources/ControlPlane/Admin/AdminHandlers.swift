// SPDX-License-Identifier: Apache-2.0
internal import DataPlane
internal import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import HummingbirdCore
internal import ServiceLifecycle

/// What the routes of the admin API do.
struct AdminHandlers: Sendable {
    let control: any ControlPlaneService
    let dataPlane: any DataPlaneHandle
    let admin: AdminConfiguration
    let state: AdminRuntime
    let build: BuildFacts
    /// Whether there is a page.
    var hasDashboard = true

    func documents() async -> AdminDocuments {
        let pages = dataPlane.counterPages
        return AdminDocuments(
            view: await control.view(), sums: CounterSums(pages), pages: pages,
            kernel: dataPlane.kernelCounters(), facts: dataPlane.facts, rates: state.rates,
            build: build, isStopping: state.isStopping,
            events: await control.recentEvents(AdminDocuments.shownEvents).map(EventDocument.init))
    }

    // MARK: Looking

    @Sendable func metrics(_: Request, _: AdminContext) async -> Response {
        let documents = await documents()
        let census = await state.census.take(documents.view, dataPlane)
        let text = MetricsCollector(documents, census).text()
        return Response(
            status: .ok, headers: [.contentType: "text/plain; version=0.0.4; charset=utf-8"],
            body: .init(byteBuffer: ByteBuffer(string: text)))
    }

    @Sendable func health(_: Request, _: AdminContext) -> Response {
        .text(state.areWorkersAlive(dataPlane.counterPages) ? .ok : .serviceUnavailable)
    }

    @Sendable func readiness(_: Request, _: AdminContext) async -> Response {
        .text(await documents().isReady ? .ok : .serviceUnavailable)
    }

    @Sendable func describe(_: Request, _: AdminContext) throws -> Response {
        Response(
            status: .ok, headers: [.contentType: "application/json; charset=utf-8"],
            body: .init(
                byteBuffer: ByteBuffer(bytes: try OpenAPIDocument.data(version: build.version))))
    }

    @Sendable func status(_: Request, _: AdminContext) async throws -> Response {
        try .json(await documents().status())
    }

    @Sendable func listServices(_: Request, _: AdminContext) async throws -> Response {
        try .json(await documents().services())
    }

    @Sendable func showService(_: Request, _ context: AdminContext) async throws -> Response {
        let documents = await documents()
        return try .json(documents.show(try documents.view.required(try context.service)))
    }

    @Sendable func listBackendsOfService(
        _: Request, _ context: AdminContext
    ) async throws -> Response {
        let documents = await documents()
        return try .json(documents.backends(of: try documents.view.required(try context.service)))
    }

    @Sendable func listBackends(_: Request, _: AdminContext) async throws -> Response {
        try .json(await documents().backends())
    }

    @Sendable func showMaglev(_: Request, _ context: AdminContext) async throws -> Response {
        let documents = await documents()
        return try .json(documents.maglev(try documents.view.required(try context.service)))
    }

    @Sendable func listDrops(_: Request, _ context: AdminContext) async throws -> Response {
        try .json(await documents().drops(showsClients: context.isLocal))
    }

    @Sendable func listNeighbours(_: Request, _: AdminContext) async throws -> Response {
        try .json(await documents().neighbours())
    }

    @Sendable func listWorkers(_: Request, _: AdminContext) async throws -> Response {
        try .json(await documents().workerList())
    }

    @Sendable func listInterfaces(_: Request, _: AdminContext) async throws -> Response {
        try .json(await documents().interfaceList())
    }

    // MARK: Connections

    @Sendable func listConnections(_ request: Request, _: AdminContext) async throws -> Response {
        let documents = await documents()
        let query = try AdminQuery(request, allowing: ConnectionQuery.filters.union(["limit"]))
        let wanted = try ConnectionQuery(query, documents)
        let found = await control.connections(wanted.filter, limit: wanted.limit)
        return try .json(documents.connections(found.records, matched: found.matched))
    }

    @Sendable func countConnections(_ request: Request, _: AdminContext) async throws -> Response {
        let documents = await documents()
        let query = try AdminQuery(request, allowing: ConnectionQuery.filters)
        let wanted = try ConnectionQuery(query, documents)
        let found = await control.connections(wanted.filter, limit: 0)
        return try .json(documents.count(found.matched))
    }

    @Sendable func trace(_ request: Request, _ context: AdminContext) async throws -> Response {
        let question = try await request.body(TraceRequest.self, context)
        return try .json(try await control.trace(try question.packet()))
    }

    @Sendable func flushConnections(
        _ request: Request, _ context: AdminContext
    ) async throws -> Response {
        let query = try AdminQuery(
            request, allowing: ConnectionQuery.filters.union(["all", "dry_run"]))
        let documents = await documents()
        let wanted = try ConnectionQuery(query, documents)
        guard try wanted.filter != ConnectionFilter() || query.flag("all") else {
            throw ChangeRefused(
                kind: .invalid, code: "no_filter",
                message: "flush needs a filter, or all=true. Nothing was changed")
        }
        if let generation = try request.expectedGeneration {
            try documents.view.require(generation: generation)
        }
        if try query.flag("dry_run") {
            let matched = await control.connections(wanted.filter, limit: 0).matched
            return try .json(documents.flush(matched, isDryRun: true))
        }
        let user = try await context.peer().name
        let ended = await control.flushConnections(wanted.filter, by: user)
        return try .json(documents.flush(ended, isDryRun: false))
    }

    // MARK: The file

    @Sendable func plan(_ request: Request, _ context: AdminContext) async throws -> Response {
        let body = try await request.body(
            PlanBody.self, upTo: ConfigurationFile.maximumByteCount * 2)
        let plan = try await control.plan(body.configuration, named: body.file ?? "configuration")
        return try .json(PlanDocument(plan, generation: await control.view().generation))
    }

    @Sendable func reload(_ request: Request, _ context: AdminContext) async throws -> Response {
        let query = try AdminQuery(request, allowing: ["dry_run"])
        let body = try await request.body(ReloadBody.self, context)
        let report = try await control.reload(
            by: try await context.peer().name, confirm: try body.confirmation(),
            ifGeneration: try request.expectedGeneration, dryRun: try query.flag("dry_run"))
        return try .json(AdminDocuments.change(report))
    }

    // MARK: Changing

    @Sendable func updateService(
        _ request: Request, _ context: AdminContext
    ) async throws -> Response {
        let query = try AdminQuery(request, allowing: ["dry_run"])
        let body = try await request.body(ServiceUpdateBody.self, context)
        return try await change(
            .updateService(try body.update(try context.service)), query, request, context)
    }

    @Sendable func deleteService(
        _ request: Request, _ context: AdminContext
    ) async throws -> Response {
        let query = try AdminQuery(request, allowing: ["dry_run", "drain"])
        let drains = try query.flag("drain")
        let deletion = Change.deleteService(try context.service, drain: drains)
        guard drains else { return try await change(deletion, query, request, context) }
        // It may take hours: nobody waits for a client that is gone, nor when the daemon stops.
        return try await cancelWhenGracefulShutdown {
            try await request.body.consumeWithCancellationOnInboundClose { _ in
                try await change(deletion, query, request, context)
            }
        }
    }

    @Sendable func setMode(_ request: Request, _ context: AdminContext) async throws -> Response {
        let query = try AdminQuery(request, allowing: ["dry_run"])
        let mode = try await request.body(ModeBody.self, context).forwardingMode()
        return try await change(.setMode(try context.service, mode), query, request, context)
    }

    @Sendable func changeBackend(
        _ request: Request, _ context: AdminContext
    ) async throws -> Response {
        let query = try AdminQuery(request, allowing: ["dry_run"])
        let body = try await request.body(BackendBody.self, context)
        let backend = BackendReference(
            service: try context.service, backend: try context.member("backend"))
        return try await change(try body.change(backend), query, request, context)
    }

    private func change(
        _ change: Change, _ query: AdminQuery, _ request: Request, _ context: AdminContext
    ) async throws -> Response {
        let report = try await control.apply(
            change, by: try await context.peer().name,
            ifGeneration: try request.expectedGeneration, dryRun: try query.flag("dry_run"))
        return try .json(AdminDocuments.change(report))
    }
}

extension Response {
    /// A document.
    fileprivate static func json(_ document: some Encodable) throws -> Response {
        Response(
            status: .ok, headers: [.contentType: "application/json; charset=utf-8"],
            body: .init(byteBuffer: ByteBuffer(bytes: try AdminJSON.encode(document))))
    }

    /// What probes of a supervisor want to know.
    fileprivate static func text(_ status: HTTPResponse.Status) -> Response {
        Response(
            status: status, headers: [.contentType: "text/plain"],
            body: .init(byteBuffer: ByteBuffer(string: status == .ok ? "ok\n" : "not ok\n")))
    }
}

extension ControlView {
    /// The service that is meant.
    ///
    /// - Throws: When there is none; says which there are.
    func required(_ reference: ServiceReference) throws(ChangeRefused) -> ServiceView {
        if let index = reference.index(in: services.map(\.configuration)) {
            return services[index]
        }
        let names = services.map(\.configuration.name).joined(separator: ", ")
        throw ChangeRefused(
            kind: .notFound, code: "no_such_service",
            message:
                "there is no service \(reference) (services: \(names.isEmpty ? "none" : names))")
    }

    fileprivate func require(generation wanted: UInt64) throws(ChangeRefused) {
        guard wanted == generation else { throw .superseded(wanted, by: generation) }
    }
}
