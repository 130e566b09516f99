// SPDX-License-Identifier: Apache-2.0
public import Foundation

/// How documents are written on the wire, by the server and by the client.
public enum AdminJSON {
    /// A document as bytes: keys in snake case and in order, so that two are easily compared.
    public static func encode(_ document: some Encodable) throws -> Data {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return try encoder.encode(document)
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
