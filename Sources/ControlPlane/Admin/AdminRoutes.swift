// SPDX-License-Identifier: Apache-2.0
internal import HTTPTypes
internal import Hummingbird

/// A route of the admin API.
struct AdminRoute: Sendable {
    /// Which listeners serve it.
    enum Exposure: Sendable {
        /// Both: it only reads, and shows no client's address.
        case everywhere
        /// The Unix socket alone.
        case socketOnly
    }

    typealias Handler = @Sendable (Request, AdminContext) async throws -> Response

    let method: HTTPRequest.Method
    /// Members in braces are taken from the path, percent-encoded.
    let path: String
    let exposure: Exposure
    let handler: Handler
}

extension AdminRoute {
    /// Whether it is the one of a request's path, whatever the method.
    func matches(_ path: String) -> Bool {
        let wanted = self.path.split(separator: "/")
        let given = path.split(separator: "/")
        return wanted.count == given.count
            && zip(wanted, given).allSatisfy { $0.first == "{" || $0 == $1 }
    }
}

extension AdminHandlers {
    /// The API: every route that there is.
    ///
    /// What there is to say about each stands in ``operations``.
    var routes: [AdminRoute] {
        func route(
            _ method: HTTPRequest.Method, _ path: String, _ exposure: AdminRoute.Exposure,
            _ handler: @escaping AdminRoute.Handler
        ) -> AdminRoute {
            AdminRoute(method: method, path: path, exposure: exposure, handler: handler)
        }
        let services = "/api/v1/services"
        let service = "\(services)/{service}"
        return [
            route(.get, "/metrics", .everywhere, metrics),
            route(.get, "/healthz", .everywhere, health),
            route(.get, "/readyz", .everywhere, readiness),
            route(.get, "/api/v1/openapi.json", .everywhere, describe),
            route(.get, "/api/v1/status", .everywhere, status),
            route(.get, services, .everywhere, listServices),
            route(.get, service, .everywhere, showService),
            route(.get, "\(service)/backends", .everywhere, listBackendsOfService),
            route(.get, "/api/v1/backends", .everywhere, listBackends),
            route(.get, "/api/v1/maglev/{service}", .everywhere, showMaglev),
            route(.get, "/api/v1/drops", .everywhere, listDrops),
            route(.get, "/api/v1/neighbours", .everywhere, listNeighbours),
            route(.get, "/api/v1/workers", .everywhere, listWorkers),
            route(.get, "/api/v1/interfaces", .everywhere, listInterfaces),
            route(.get, "/api/v1/events", .everywhere, events),
            route(.get, "/api/v1/connections", .socketOnly, listConnections),
            route(.get, "/api/v1/connections/count", .socketOnly, countConnections),
            route(.delete, "/api/v1/connections", .socketOnly, flushConnections),
            route(.post, "/api/v1/trace", .socketOnly, trace),
            route(.post, "/api/v1/plan", .socketOnly, plan),
            route(.post, "/api/v1/reload", .socketOnly, reload),
            route(.post, "/api/v1/capture", .socketOnly, capture),
            route(.delete, "/api/v1/capture", .socketOnly, endCapture),
            route(.put, service, .socketOnly, updateService),
            route(.delete, service, .socketOnly, deleteService),
            route(.put, "\(service)/mode", .socketOnly, setMode),
            route(.patch, "\(service)/backends/{backend}", .socketOnly, changeBackend),
        ] + (hasDashboard ? pageRoutes : [])
    }

    private var pageRoutes: [AdminRoute] {
        [
            AdminRoute(method: .get, path: "/", exposure: .everywhere, handler: dashboard),
            AdminRoute(
                method: .get, path: "/dashboard.css", exposure: .everywhere,
                handler: dashboardStyle),
            AdminRoute(
                method: .get, path: "/dashboard.js", exposure: .everywhere,
                handler: dashboardScript),
            AdminRoute(
                method: .get, path: "/dashboard.svg", exposure: .everywhere,
                handler: dashboardIcon),
        ]
    }

    /// A router for a listener: all routes by the peer's credentials, or those that only read.
    func router(_ listener: AdminRoute.Exposure) -> Router<AdminContext> {
        let router = Router(context: AdminContext.self, options: .autoGenerateHeadEndpoints)
        let served = routes.filter { listener == .socketOnly || $0.exposure == .everywhere }
        router.add(middleware: AdminErrors(isReadOnly: listener == .everywhere, routes: served))
        switch listener {
        case .socketOnly: router.add(middleware: AdminAccess(admin: admin))
        case .everywhere: router.add(middleware: AdminHostCheck(control: control))
        }
        for route in served {
            router.on(RouterPath(route.path), method: route.method, use: route.handler)
        }
        return router
    }
}
