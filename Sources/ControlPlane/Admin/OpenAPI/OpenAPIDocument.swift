// SPDX-License-Identifier: Apache-2.0
internal import Foundation
internal import HTTPTypes

/// The description of the admin API (OpenAPI 3.1), for people, generators and the tests.
enum OpenAPIDocument {
    /// The description as JSON.
    static func data(version: String) throws -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return try encoder.encode(value(AdminHandlers.operations, version: version))
    }

    private static func value(_ operations: [APIOperation], version: String) -> JSONValue {
        let book = SchemaBook()
        var paths: [String: JSONValue] = [:]
        for operation in operations {
            let described = describe(operation, book)
            let method = operation.method.rawValue.lowercased()
            paths[operation.path] = (paths[operation.path] ?? [:]).merging([method: described])
        }
        SchemaFacts.add(to: book)
        return [
            "openapi": "3.1.0",
            "info": [
                "title": "xdplb admin API", "version": .string(version),
                "description": """
                Served over HTTP on the admin socket, and on TCP as far as it only reads and \
                shows no client's address. A member is added to a document, never redefined.
                """,
            ],
            "paths": .object(paths),
            "components": ["schemas": .object(book.schemas)],
        ]
    }

    private static func describe(_ operation: APIOperation, _ book: SchemaBook) -> JSONValue {
        var members: [String: JSONValue] = [
            "operationId": .string(operation.id), "summary": .string(operation.summary),
            "responses": .object(responses(of: operation, book)),
            // Which listeners serve it.
            "x-xdplb-listeners": operation.exposure == .everywhere
                ? ["socket", "tcp"] : ["socket"],
        ]
        if !operation.parameters.isEmpty {
            members["parameters"] = .array(operation.parameters.map(describe))
        }
        if let body = operation.body {
            let schema = book.schema(of: body)
            // A member that nobody knows is refused, as a misspelt one would be passed over.
            book.refine(body, with: ["additionalProperties": false])
            members["requestBody"] = [
                "required": true, "content": ["application/json": ["schema": schema]],
            ]
        }
        return .object(members)
    }

    private static func describe(_ parameter: APIParameter) -> JSONValue {
        [
            "name": .string(parameter.name), "in": .string(parameter.place.rawValue),
            "required": .boolean(parameter.place == .path),
            "description": .string(parameter.summary), "schema": parameter.schema,
        ]
    }

    // MARK: Answers

    private static func responses(
        of operation: APIOperation, _ book: SchemaBook
    ) -> [String: JSONValue] {
        var responses: [String: JSONValue] = [:]
        switch operation.answer {
        case .document(let type, let schema):
            responses["200"] = response("The document", json: book.schema(of: type))
            book.refine(type, "schema", with: ["const": .string(schema)])
            if case .object(let members)? = book.schemas[SchemaBook.name(of: type)]?
                .members["properties"], members["time"] != nil
            {
                book.refine(type, "time", with: ["format": "date-time"])
            }
        case .other(let media):
            responses["200"] = ["description": "The text", "content": .object([media: [:]])]
        case .nothing:
            responses["204"] = ["description": "Done"]
        case .probe:
            let content: JSONValue = ["text/plain": ["schema": ["enum": ["ok\n", "not ok\n"]]]]
            responses["200"] = ["description": "Yes", "content": content]
            responses["503"] = ["description": "No", "content": content]
        }
        var refusals = Set(operation.refusals + [400, 403])
        if operation.body != nil { refusals.insert(413) }
        if operation.exposure == .socketOnly {
            // What TCP says of it.
            refusals.insert(operation.method == .get ? 404 : 405)
        }
        let error = book.schema(of: ErrorDocument.self)
        for status in refusals {
            responses["\(status)"] = response(reasons[status] ?? "Refused", json: error)
        }
        return responses
    }

    private static func response(_ description: String, json schema: JSONValue) -> JSONValue {
        [
            "description": .string(description),
            "content": ["application/json": ["schema": schema]],
        ]
    }

    private static let reasons = [
        400: "The request makes no sense", 403: "The user may not do this",
        404: "There is no such thing", 405: "Nothing can be changed over TCP",
        409: "It contradicts what is there", 412: "Somebody else was faster",
        413: "The body is too large", 500: "The data path did not take it; nothing was changed",
    ]
}
