// SPDX-License-Identifier: Apache-2.0
internal import DataPlane
internal import HTTPTypes

extension AdminHandlers {
    /// What there is to say about each of ``routes``; a test compares the two.
    static let operations: [APIOperation] =
        probes + pages + reads + connectionRoutes + captures + changes

    private static let service = "/api/v1/services/{service}"

    private static let probes: [APIOperation] = [
        .init(
            method: .get, path: "/metrics", summary: "Metrics in Prometheus' text format",
            answer: .other("text/plain")),
        .init(
            method: .get, path: "/healthz",
            summary: "Whether every worker has done a round within the last second",
            answer: .probe),
        .init(
            method: .get, path: "/readyz",
            summary: "Whether new connections can be served: at least one service is up",
            answer: .probe),
        .init(
            method: .get, path: "/api/v1/openapi.json", summary: "This description",
            answer: .other("application/json")),
    ]

    private static let pages: [APIOperation] = [
        .init(
            method: .get, path: "/", summary: "The dashboard; 404 when it is switched off",
            answer: .other("text/html")),
        .init(
            method: .get, path: "/dashboard.css", summary: "Its style", answer: .other("text/css")),
        .init(
            method: .get, path: "/dashboard.js", summary: "Its script",
            answer: .other("text/javascript")),
        .init(
            method: .get, path: "/dashboard.svg", summary: "Its icon",
            answer: .other("image/svg+xml")),
        .init(
            method: .get, path: "/api/v1/events",
            summary: "What the dashboard shows, each second, as server-sent events",
            answer: .other("text/event-stream"), refusals: [503]),
    ]

    private static let reads: [APIOperation] = [
        .init(
            method: .get, path: "/api/v1/status", summary: "All there is to know at a glance",
            answer: .document(StatusDocument.self, "xdplb.status/1")),
        .init(
            method: .get, path: "/api/v1/services", summary: "The services",
            answer: .document(ServiceListDocument.self, "xdplb.service_list/1")),
        .init(
            method: .get, path: service, summary: "A service with its backends",
            parameters: [.service],
            answer: .document(ServiceShowDocument.self, "xdplb.service/1"), refusals: [404]),
        .init(
            method: .get, path: "\(service)/backends", summary: "The backends of a service",
            parameters: [.service],
            answer: .document(BackendListDocument.self, "xdplb.backend_list/1"),
            refusals: [404]),
        .init(
            method: .get, path: "/api/v1/backends", summary: "The backends of all services",
            answer: .document(BackendListDocument.self, "xdplb.backend_list/1")),
        .init(
            method: .get, path: "/api/v1/maglev/{service}", summary: "A service's Maglev table",
            parameters: [.service],
            answer: .document(MaglevDocument.self, "xdplb.maglev/1"), refusals: [404]),
        .init(
            method: .get, path: "/api/v1/drops", summary: "Dropped packets by reason",
            answer: .document(DropsDocument.self, "xdplb.drops/1")),
        .init(
            method: .get, path: "/api/v1/neighbours", summary: "Next hops as the kernel knows them",
            answer: .document(NeighbourListDocument.self, "xdplb.neighbour_list/1")),
        .init(
            method: .get, path: "/api/v1/workers", summary: "The workers",
            answer: .document(WorkerListDocument.self, "xdplb.worker_list/1")),
        .init(
            method: .get, path: "/api/v1/interfaces", summary: "The interfaces",
            answer: .document(InterfaceListDocument.self, "xdplb.interface_list/1")),
    ]

    private static let connectionRoutes: [APIOperation] = [
        .init(
            method: .get, path: "/api/v1/connections", summary: "Tracked connections",
            parameters: APIParameter.connections + [
                APIParameter(
                    name: "limit", place: .query,
                    schema: [
                        "type": "integer", "minimum": 0,
                        "maximum": .integer(ConnectionScan.maximumLimit), "default": 1000,
                    ], summary: "Most connections to list")
            ], answer: .document(ConnectionListDocument.self, "xdplb.connection_list/1"),
            refusals: [400, 404, 409], exposure: .socketOnly),
        .init(
            method: .get, path: "/api/v1/connections/count", summary: "How many are tracked",
            parameters: APIParameter.connections,
            answer: .document(ConnectionCountDocument.self, "xdplb.connection_count/1"),
            refusals: [400, 404, 409], exposure: .socketOnly),
        .init(
            method: .delete, path: "/api/v1/connections",
            summary: "End tracked connections, by a filter or all",
            parameters: APIParameter.connections + APIParameter.change + [
                .flag("all", "Needed to end all of them")
            ], answer: .document(FlushDocument.self, "xdplb.flush/1"),
            refusals: [400, 404, 409, 412], exposure: .socketOnly),
        .init(
            method: .post, path: "/api/v1/trace",
            summary: "Where a packet would go; nothing is sent or changed",
            body: TraceRequest.self, answer: .document(TraceDocument.self, "xdplb.trace/1"),
            refusals: [400, 409], exposure: .socketOnly),
    ]

    private static let captures: [APIOperation] = [
        .init(
            method: .post, path: "/api/v1/capture",
            summary: "Frames as received and as sent, until a bound is reached",
            body: CaptureRequest.self, answer: .other("application/x-pcapng"),
            refusals: [400, 404, 409, 500], exposure: .socketOnly),
        .init(
            method: .delete, path: "/api/v1/capture", summary: "End the capture that runs",
            parameters: [
                APIParameter(
                    name: "number", place: .query, schema: ["type": "integer", "minimum": 0],
                    summary: "Only when it is the one of this number")
            ], answer: .nothing, refusals: [400, 404], exposure: .socketOnly),
    ]

    private static let changes: [APIOperation] = [
        .init(
            method: .post, path: "/api/v1/plan",
            summary: "What a configuration file would change; nothing is changed",
            body: PlanBody.self, answer: .document(PlanDocument.self, "xdplb.plan/1"),
            refusals: [400, 409], exposure: .socketOnly),
        .init(
            method: .post, path: "/api/v1/reload",
            summary: "Apply the daemon's configuration file again, whole or not at all",
            parameters: APIParameter.change, body: ReloadBody.self,
            answer: .document(ChangeDocument.self, "xdplb.change/1"),
            refusals: [400, 409, 412, 500], exposure: .socketOnly),
        .init(
            method: .put, path: service,
            summary: "Create the service of a key, or replace a service's backends",
            parameters: [.service] + APIParameter.change, body: ServiceUpdateBody.self,
            answer: .document(ChangeDocument.self, "xdplb.change/1"),
            refusals: [400, 404, 409, 412, 500], exposure: .socketOnly),
        .init(
            method: .delete, path: service, summary: "Delete a service and end its connections",
            parameters: [.service] + APIParameter.change + [
                .flag("drain", "Wait until its connections have ended")
            ], answer: .document(ChangeDocument.self, "xdplb.change/1"),
            refusals: [400, 404, 409, 412, 500], exposure: .socketOnly),
        .init(
            method: .put, path: "\(service)/mode",
            summary: "Set how a service's new connections are forwarded",
            parameters: [.service] + APIParameter.change, body: ModeBody.self,
            answer: .document(ChangeDocument.self, "xdplb.change/1"),
            refusals: [400, 404, 409, 412, 500], exposure: .socketOnly),
        .init(
            method: .patch, path: "\(service)/backends/{backend}",
            summary: "Set a backend's admin state or weight",
            parameters: [.service, .backend] + APIParameter.change, body: BackendBody.self,
            answer: .document(ChangeDocument.self, "xdplb.change/1"),
            refusals: [400, 404, 409, 412, 500], exposure: .socketOnly),
    ]
}
