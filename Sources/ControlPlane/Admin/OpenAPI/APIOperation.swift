// SPDX-License-Identifier: Apache-2.0
internal import HTTPTypes

/// What a client is told of a route: what it takes, and what it answers.
struct APIOperation: Sendable {
    let method: HTTPRequest.Method
    /// As ``AdminRoute/path``.
    let path: String
    /// A sentence without its full stop.
    let summary: String
    var parameters: [APIParameter] = []
    var body: (any ChangeBody.Type)?
    let answer: Answer
    /// Status codes of its refusals besides those that every route has.
    var refusals: [Int] = []
    /// Whether TCP serves it, too.
    var exposure = AdminRoute.Exposure.everywhere

    /// The body of an answer that is no refusal.
    enum Answer: Sendable {
        /// A document, and the name and version that are its `schema`.
        case document(any (Decodable & Sendable).Type, String)
        /// Something else than a document, by its media type.
        case other(String)
        /// Nothing but 204.
        case nothing
        /// `ok` with 200, `not ok` with 503.
        case probe
    }

    /// The name of the route, unique among all.
    var id: String {
        let words = path.split { !$0.isLetter }.filter { $0 != "api" && $0 != "v" }
        return ([method.rawValue.lowercased()] + words.map(String.init)).joined(separator: "_")
    }
}

/// A parameter of a route.
struct APIParameter: Sendable {
    /// Where it stands.
    enum Place: String, Sendable {
        case path
        case query
        case header
    }

    let name: String
    let place: Place
    let schema: JSONValue
    let summary: String

    static let service = APIParameter(
        name: "service", place: .path, schema: ["type": "string", "minLength": 1],
        summary: "Name of a service, or VIP:PORT/PROTOCOL, percent-encoded")
    static let backend = APIParameter(
        name: "backend", place: .path, schema: ["type": "string", "minLength": 1],
        summary: "Name or ADDRESS[:PORT] of a backend of the service, percent-encoded")
    static let dryRun = flag("dry_run", "Say what would be done, and do nothing")
    static let generation = APIParameter(
        name: "If-Match", place: .header,
        schema: ["type": "integer", "minimum": 0, "maximum": 9_007_199_254_740_991],
        summary: "Refuse unless this generation is the current one")

    /// What every change takes.
    static let change = [dryRun, generation]

    /// What narrows connections down.
    static let connections = [
        text("service", "Connections of a service, by its name or key"),
        text("backend", "Connections of a backend: NAME, ADDRESS[:PORT] or SERVICE/BACKEND"),
        APIParameter(
            name: "client", place: .query,
            schema: ["type": "string", "anyOf": [["format": "ipv4"], ["format": "ipv6"]]],
            summary: "Connections of a client's address"),
        APIParameter(
            name: "state", place: .query, schema: ["enum": SchemaFacts.connectionStates],
            summary: "Connections in a state"),
        APIParameter(
            name: "worker", place: .query, schema: ["type": "integer", "minimum": 0],
            summary: "Connections of a worker"),
        flag("in_use", "Leave out those that are closed and idle"),
    ]

    static func flag(_ name: String, _ summary: String) -> APIParameter {
        APIParameter(name: name, place: .query, schema: ["type": "boolean"], summary: summary)
    }

    private static func text(_ name: String, _ summary: String) -> APIParameter {
        APIParameter(
            name: name, place: .query, schema: ["type": "string", "minLength": 1],
            summary: summary)
    }
}
