// SPDX-License-Identifier: Apache-2.0
import ControlPlane
import Foundation

/// An answer of the daemon's that goes on until one of the two ends it, taken piece by piece.
struct AdminStream: ~Copyable {
    /// Seconds without a byte after which the daemon is taken for hung.
    private static let patience = 15

    private let path: String
    private let descriptor: Int32
    private let fields: [String: String]
    private var chunks = ChunkedBody()
    private var unread: [UInt8]

    /// Asks, and waits until the daemon begins to answer.
    ///
    /// - Throws: ``CommandFailure`` when nobody answers, or with the daemon's refusal.
    fileprivate init(
        _ client: AdminClient, _ method: String, _ target: String, _ body: Data
    ) throws {
        var client = client
        client.timeoutSeconds = Self.patience
        let descriptor = try client.connect()
        let head: Head
        do {
            let request = Array(client.requestHead(method, target, body).utf8) + Array(body)
            client.write(request, to: descriptor)
            head = try Self.readHead(descriptor, client)
        } catch {
            close(descriptor)
            throw error
        }
        path = client.path
        self.descriptor = descriptor
        fields = head.fields
        unread = head.rest
    }

    deinit { close(descriptor) }

    /// A field of the answer's head, by its name in small letters.
    func field(_ name: String) -> String? { fields[name] }

    /// The next bytes; none when a signal came; `nil` at the end.
    ///
    /// - Throws: ``CommandFailure`` when the daemon is gone before the end.
    mutating func next() throws -> [UInt8]? {
        if chunks.isAtEnd { return nil }
        var piece = unread
        unread = []
        if piece.isEmpty {
            guard let read = try Self.read(descriptor, path) else { throw Self.hungUp(path) }
            piece = read
        }
        return try chunks.take(piece)
    }

    /// Bytes that have come; none when a signal came first, `nil` when no more will.
    private static func read(_ descriptor: Int32, _ path: String) throws -> [UInt8]? {
        var buffer = [UInt8](repeating: 0, count: 256 << 10)
        let count = unsafe Glibc.read(descriptor, &buffer, buffer.count)
        if count > 0 { return Array(buffer[..<count]) }
        if count == 0 { return nil }
        switch errno {
        case EINTR: return []
        case EAGAIN:
            throw CommandFailure(
                .timedOut, "the daemon at \(path) has said nothing for \(patience) s")
        default: throw hungUp(path)
        }
    }

    /// What stands in front of the body.
    private struct Head {
        var status: Int
        var fields: [String: String]
        /// What came of the body already.
        var rest: [UInt8]

        /// `nil` when it is not whole, or none.
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
    }

    private static func readHead(_ descriptor: Int32, _ client: AdminClient) throws -> Head {
        var answer: [UInt8] = []
        while true {
            guard let piece = try read(descriptor, client.path) else { throw hungUp(client.path) }
            answer += piece
            guard let head = Head(answer) else { continue }
            if head.status == 200 { return head }
            while let piece = try read(descriptor, client.path) { answer += piece }
            guard let whole = AdminClient.parse(answer) else { throw hungUp(client.path) }
            throw client.refusal(whole)
        }
    }

    private static func hungUp(_ path: String) -> CommandFailure {
        CommandFailure(.unreachable, "the daemon at \(path) hung up before the end")
    }
}

extension AdminClient {
    /// Asks for an answer that goes on.
    ///
    /// - Throws: ``CommandFailure`` when nobody answers, or with the daemon's refusal.
    func stream(_ method: String, _ target: String, _ question: some Encodable) throws
        -> AdminStream
    {
        try AdminStream(self, method, target, AdminJSON.encode(question))
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
            throw CommandFailure(.unreachable, "the daemon's answer is in no chunks")
        }
        place = count == 0 ? .end : .data(Int(count))
    }
}
