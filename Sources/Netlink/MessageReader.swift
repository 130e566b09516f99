// SPDX-License-Identifier: Apache-2.0

/// One netlink message out of a datagram.
struct Message {
    let type: UInt16
    let flags: UInt16
    let sequence: UInt32
    /// What follows the header.
    let payload: ArraySlice<UInt8>
}

/// Takes a datagram of the kernel's apart.
///
/// Every length is compared with the bytes that are there: a message or attribute that claims more
/// than there is ends the walk, and none makes it stand still.
struct MessageReader: Sequence, IteratorProtocol {
    private var rest: ArraySlice<UInt8>

    init(_ datagram: ArraySlice<UInt8>) { rest = datagram }

    mutating func next() -> Message? {
        guard let length = rest.number(at: 0, as: UInt32.self),
            let type = rest.number(at: 4, as: UInt16.self),
            let flags = rest.number(at: 6, as: UInt16.self),
            let sequence = rest.number(at: 8, as: UInt32.self),
            length >= NetlinkHeader.byteCount, length <= rest.count
        else { return nil }
        let message = rest.prefix(Int(length))
        rest = rest.dropFirst((Int(length) + 3) & ~3)
        return Message(
            type: type, flags: flags, sequence: sequence,
            payload: message.dropFirst(NetlinkHeader.byteCount))
    }
}

/// An attribute: a type and its bytes.
struct Attribute {
    let type: UInt16
    let value: ArraySlice<UInt8>

    /// Bits of the type that say how the value is meant.
    private static let typeMask: UInt16 = 0x3fff
    private static let headerByteCount = 4

    /// The attributes in a run of bytes, up to the first that contradicts its length.
    static func all(in bytes: ArraySlice<UInt8>) -> [Attribute] {
        var attributes: [Attribute] = []
        var rest = bytes
        while let length = rest.number(at: 0, as: UInt16.self),
            let type = rest.number(at: 2, as: UInt16.self),
            Int(length) >= headerByteCount, Int(length) <= rest.count
        {
            attributes.append(
                Attribute(
                    type: type & typeMask,
                    value: rest.prefix(Int(length)).dropFirst(headerByteCount)))
            rest = rest.dropFirst((Int(length) + 3) & ~3)
        }
        return attributes
    }

    /// The value as an integer in host byte order; `nil` when it is shorter.
    func number<T: FixedWidthInteger>(as type: T.Type = T.self) -> T? {
        value.number(at: 0, as: type)
    }

    /// The value as text up to its first zero byte.
    var text: String { String(decoding: value.prefix { $0 != 0 }, as: UTF8.self) }
}

extension ArraySlice<UInt8> {
    /// The integer in host byte order at `offset` from the start; `nil` beyond the end.
    func number<T: FixedWidthInteger>(at offset: Int, as type: T.Type = T.self) -> T? {
        let byteCount = T.bitWidth / 8
        guard offset >= 0, count - offset >= byteCount else { return nil }
        let first = startIndex + offset
        var value: T = 0
        for index in (0..<byteCount).reversed() {
            value = value << 8 | T(truncatingIfNeeded: self[first + index])
        }
        return T(littleEndian: value)
    }
}
