// SPDX-License-Identifier: Apache-2.0

/// The JSON schemas of documents, by the names of their types.
///
/// A type's members are found by letting it be read: its own `init(from:)` asks for each by name and
/// type. So a schema cannot differ from what is read and written.
final class SchemaBook {
    /// The schemas so far.
    private(set) var schemas: [String: JSONValue] = [:]

    /// The schema of a type: of a document, a reference to an entry of the book, which is made.
    func schema(of type: any Decodable.Type) -> JSONValue {
        if let simple = Self.simple(type) { return simple }
        if let shape = type as? any SchemaShape.Type { return shape.schema(in: self) }
        let name = Self.name(of: type)
        if schemas[name] == nil { enter(type, as: name) }
        return ["$ref": .string("#/components/schemas/\(name)")]
    }

    /// Notes what else is known of a document.
    func refine(_ type: any Decodable.Type, with facts: JSONValue) {
        _ = schema(of: type)
        let name = Self.name(of: type)
        schemas[name] = schemas[name]?.merging(facts)
    }

    /// Notes what else is known of a document's member.
    func refine(_ type: any Decodable.Type, _ member: String, with facts: JSONValue) {
        _ = schema(of: type)
        let name = Self.name(of: type)
        guard let schema = schemas[name], case .object(var members)? = schema.members["properties"],
            let known = members[member]
        else { preconditionFailure("\(name) has no member \(member)") }
        members[member] = known.merging(facts)
        schemas[name] = schema.merging(["properties": .object(members)])
    }

    /// The name of a type, without its module.
    static func name(of type: any Decodable.Type) -> String {
        String(reflecting: type).split(separator: ".").dropFirst().joined(separator: ".")
    }

    private func enter(_ type: any Decodable.Type, as name: String) {
        // A document that has one of its own kind inside finds it here.
        schemas[name] = ["type": "object"]
        let members = MemberList()
        // What it makes of the values is of no interest, nor whether it likes them.
        _ = try? type.init(from: MemberNoter(members: members, book: self))
        schemas[name] = [
            "type": "object",
            "properties": .object(
                members.schemas.merging(
                    members.optional.compactMap { name in
                        members.schemas[name].map { (name, Self.nullable($0)) }
                    }
                ) { _, nullable in nullable }),
            "required": .array(
                members.schemas.keys.filter { !members.optional.contains($0) }.sorted()
                    .map(JSONValue.string)),
        ]
    }

    static func nullable(_ schema: JSONValue) -> JSONValue {
        guard let type = schema.members["type"] else {
            return ["anyOf": [schema, ["type": "null"]]]
        }
        return schema.merging(["type": [type, "null"]])
    }

    private static func simple(_ type: any Decodable.Type) -> JSONValue? {
        switch type {
        case is String.Type: ["type": "string"]
        case is Bool.Type: ["type": "boolean"]
        case is Double.Type: ["type": "number"]
        case is any (UnsignedInteger & FixedWidthInteger).Type: ["type": "integer", "minimum": 0]
        case is any FixedWidthInteger.Type: ["type": "integer"]
        default: nil
        }
    }
}

/// A type that is no document but made of others: their schema says its own.
protocol SchemaShape: Decodable {
    static func schema(in book: SchemaBook) -> JSONValue
    /// A value with nothing in it.
    static var empty: Self { get }
    /// Whether it is `null` instead of being left out.
    static var isNullable: Bool { get }
}

extension SchemaShape {
    static var isNullable: Bool { false }
}

extension Array: SchemaShape where Element: Decodable {
    static func schema(in book: SchemaBook) -> JSONValue {
        ["type": "array", "items": book.schema(of: Element.self)]
    }

    static var empty: Self { [] }
}

extension Dictionary: SchemaShape where Key == String, Value: Decodable {
    static func schema(in book: SchemaBook) -> JSONValue {
        ["type": "object", "additionalProperties": book.schema(of: Value.self)]
    }

    static var empty: Self { [:] }
}

extension Nullable: SchemaShape {
    static func schema(in book: SchemaBook) -> JSONValue {
        SchemaBook.nullable(book.schema(of: Value.self))
    }

    static var empty: Self { Self(wrappedValue: nil) }
    static var isNullable: Bool { true }
}
