// SPDX-License-Identifier: Apache-2.0
public import Foundation

/// How documents are written on the wire, by the server and by the client.
///
/// Keys are in snake case and every key is always there, `null` where there is nothing to say: a
/// key is added and never redefined. Numbers are bytes, seconds and plain counts; times are
/// ISO 8601 in UTC.
public enum AdminJSON {
    /// A document as bytes, with its keys in order, so that two are easily compared.
    public static func encode(_ document: some Encodable) throws -> Data {
        try encoder([.prettyPrinted]).encode(document)
    }

    /// The same in one line.
    static func encodeLine(_ document: some Encodable) throws -> Data {
        try encoder([]).encode(document)
    }

    private static func encoder(_ more: JSONEncoder.OutputFormatting) -> JSONEncoder {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = more.union([.sortedKeys, .withoutEscapingSlashes])
        return encoder
    }

    /// A document from bytes.
    public static func decode<Document: Decodable>(
        _ type: Document.Type, from data: Data
    ) throws -> Document {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try decoder.decode(type, from: data)
    }

    /// A time as documents have it.
    static func text(_ date: Date) -> String { date.formatted(.iso8601) }
}

/// A member that is written as `null` when there is nothing to say, instead of being left out.
@propertyWrapper
package struct Nullable<Value: Codable & Sendable>: Codable, Sendable {
    package var wrappedValue: Value?

    /// A member with its value.
    package init(wrappedValue: Value?) { self.wrappedValue = wrappedValue }

    /// Reads the value, or `null`.
    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        wrappedValue = container.decodeNil() ? nil : try container.decode(Value.self)
    }

    /// Writes the value, or `null`.
    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        if let wrappedValue {
            try container.encode(wrappedValue)
        } else {
            try container.encodeNil()
        }
    }
}

extension KeyedDecodingContainer {
    /// Takes a member that is left out for `null`.
    package func decode<Value>(
        _ type: Nullable<Value>.Type, forKey key: Key
    ) throws -> Nullable<Value> {
        try decodeIfPresent(type, forKey: key) ?? Nullable(wrappedValue: nil)
    }
}
