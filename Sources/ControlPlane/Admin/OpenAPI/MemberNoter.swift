// SPDX-License-Identifier: Apache-2.0

/// What a type asked for while it was read.
final class MemberList {
    /// The schema of each member, by its name on the wire.
    var schemas: [String: JSONValue] = [:]
    /// Members that may be left out.
    var optional: Set<String> = []
}

/// Gives a type nothing but empty values, and notes what it asks for.
struct MemberNoter: Decoder {
    let members: MemberList
    let book: SchemaBook

    var codingPath: [any CodingKey] { [] }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    /// Only documents are read here, and they have members.
    private struct NoMembers: Error {}

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedDecodingContainer<Key> {
        KeyedDecodingContainer(MemberContainer<Key>(members: members, book: book))
    }

    func unkeyedContainer() throws -> any UnkeyedDecodingContainer { throw NoMembers() }
    func singleValueContainer() throws -> any SingleValueDecodingContainer { throw NoMembers() }
}

private struct MemberContainer<Key: CodingKey>: KeyedDecodingContainerProtocol {
    let members: MemberList
    let book: SchemaBook

    var codingPath: [any CodingKey] { [] }
    var allKeys: [Key] { [] }

    /// What is asked for before a member is read that may be left out.
    func contains(_ key: Key) -> Bool {
        members.optional.insert(Self.wireName(of: key))
        return true
    }

    func decodeNil(forKey key: Key) -> Bool { false }

    func decode<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> Value {
        note(type, key)
        if let shape = type as? any SchemaShape.Type, let value = shape.empty as? Value {
            return value
        }
        return try Value(from: MemberNoter(members: MemberList(), book: book))
    }

    private func note(_ type: any Decodable.Type, _ key: Key) {
        members.schemas[Self.wireName(of: key)] = book.schema(of: type)
        if let shape = type as? any SchemaShape.Type, shape.isNullable {
            members.optional.remove(Self.wireName(of: key))
        }
    }

    private func number<Value: Numeric & Decodable>(_ type: Value.Type, _ key: Key) -> Value {
        note(type, key)
        return 0
    }

    /// The name as ``AdminJSON`` writes it.
    private static func wireName(of key: Key) -> String {
        key.stringValue.reduce(into: "") { name, letter in
            name += letter.isUppercase ? "_\(letter.lowercased())" : String(letter)
        }
    }

    func decode(_ type: Bool.Type, forKey key: Key) -> Bool {
        note(type, key)
        return false
    }

    func decode(_ type: String.Type, forKey key: Key) -> String {
        note(type, key)
        return ""
    }

    func decode(_ type: Double.Type, forKey key: Key) -> Double { number(type, key) }
    func decode(_ type: Float.Type, forKey key: Key) -> Float { number(type, key) }
    func decode(_ type: Int.Type, forKey key: Key) -> Int { number(type, key) }
    func decode(_ type: Int8.Type, forKey key: Key) -> Int8 { number(type, key) }
    func decode(_ type: Int16.Type, forKey key: Key) -> Int16 { number(type, key) }
    func decode(_ type: Int32.Type, forKey key: Key) -> Int32 { number(type, key) }
    func decode(_ type: Int64.Type, forKey key: Key) -> Int64 { number(type, key) }
    func decode(_ type: UInt.Type, forKey key: Key) -> UInt { number(type, key) }
    func decode(_ type: UInt8.Type, forKey key: Key) -> UInt8 { number(type, key) }
    func decode(_ type: UInt16.Type, forKey key: Key) -> UInt16 { number(type, key) }
    func decode(_ type: UInt32.Type, forKey key: Key) -> UInt32 { number(type, key) }
    func decode(_ type: UInt64.Type, forKey key: Key) -> UInt64 { number(type, key) }

    // Documents have members, not a shape of their own.

    private struct NoContainer: Error {}

    func nestedContainer<NestedKey: CodingKey>(
        keyedBy type: NestedKey.Type, forKey key: Key
    ) throws -> KeyedDecodingContainer<NestedKey> { throw NoContainer() }

    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
        throw NoContainer()
    }

    func superDecoder() throws -> any Decoder { throw NoContainer() }
    func superDecoder(forKey key: Key) throws -> any Decoder { throw NoContainer() }
}
