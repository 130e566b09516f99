// SPDX-License-Identifier: Apache-2.0
import Foundation

/// What stands in front of an answer's body (RFC 9112 §4 and §5).
struct HTTPHead {
    /// The status code.
    let status: Int
    /// What came of the body already.
    let rest: [UInt8]
    private let fields: [String: String]

    /// Takes the beginning of an answer apart; `nil` when it is not whole, or none.
    init?(_ bytes: [UInt8]) {
        guard let end = bytes.firstRange(of: Array("\r\n\r\n".utf8)) else { return nil }
        let lines = String(decoding: bytes[..<end.lowerBound], as: UTF8.self)
            .components(separatedBy: "\r\n")
        guard let status = lines[0].split(separator: " ").dropFirst().first.flatMap({ Int($0) })
        else { return nil }
        self.status = status
        rest = Array(bytes[end.upperBound...])
        fields = lines.dropFirst().reduce(into: [:]) { fields, line in
            guard let colon = line.firstIndex(of: ":") else { return }
            fields[line[..<colon].lowercased()] =
                line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)
        }
    }

    /// A field by its name in small letters.
    subscript(name: String) -> String? { fields[name] }

    /// Whether the body comes in chunks.
    var isChunked: Bool { self["transfer-encoding"]?.lowercased().contains("chunked") ?? false }
}

/// The status and body of an answer that is whole.
struct HTTPAnswer {
    var status: Int
    var body: Data

    /// Takes an answer apart that has ended with its connection; `nil` when it is not whole.
    ///
    /// - Throws: ``CommandFailure`` when its chunks are none.
    init?(_ bytes: [UInt8]) throws {
        guard let head = HTTPHead(bytes) else { return nil }
        status = head.status
        if head.isChunked {
            var chunks = ChunkedBody()
            body = Data(try chunks.take(head.rest))
            guard chunks.isAtEnd else { return nil }
        } else {
            body = Data(head.rest)
            guard body.count >= head["content-length"].flatMap({ Int($0) }) ?? 0 else { return nil }
        }
    }
}

/// Takes a body apart that comes in chunks (RFC 9112 §7.1), as its bytes arrive.
struct ChunkedBody {
    private enum Place {
        /// In the line with a chunk's size.
        case size
        /// In a chunk of which so many bytes are left.
        case data(Int)
        /// In the line break behind a chunk.
        case lineBreak
        /// Behind the last chunk.
        case end
    }

    private var place = Place.size
    private var line: [UInt8] = []

    /// Whether the last chunk has come.
    var isAtEnd: Bool { if case .end = place { true } else { false } }

    /// The bytes of the body that are in some bytes of the wire.
    ///
    /// - Throws: ``CommandFailure`` when these are no chunks.
    mutating func take(_ bytes: [UInt8]) throws -> [UInt8] {
        var result: [UInt8] = []
        var rest = bytes[...]
        while !rest.isEmpty {
            switch place {
            case .end: return result
            case .data(let left):
                let count = min(left, rest.count)
                result += rest.prefix(count)
                rest = rest.dropFirst(count)
                place = count == left ? .lineBreak : .data(left - count)
            case .lineBreak:
                if rest.removeFirst() == UInt8(ascii: "\n") { place = .size }
            case .size:
                let byte = rest.removeFirst()
                line.append(byte)
                if byte == UInt8(ascii: "\n") { try readSize() }
            }
        }
        return result
    }

    private mutating func readSize() throws {
        let digits = String(decoding: line, as: UTF8.self).prefix { $0.isHexDigit }
        line = []
        guard let count = UInt32(digits, radix: 16) else {
            throw CommandFailure(
                .unreachable, "malformed reply from the daemon: invalid chunk size")
        }
        place = count == 0 ? .end : .data(Int(count))
    }
}
