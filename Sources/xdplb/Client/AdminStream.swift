// SPDX-License-Identifier: Apache-2.0
import ControlPlane
import Foundation

/// An answer of the daemon's that goes on until one of the two ends it, taken piece by piece.
struct AdminStream: ~Copyable {
    /// Seconds without a byte after which the daemon is taken for hung.
    private static let patience = 15

    private let path: String
    private let descriptor: Int32
    private let head: HTTPHead
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
        let head: HTTPHead
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
        self.head = head
        unread = head.rest
    }

    deinit { close(descriptor) }

    /// A field of the answer's head, by its name in small letters.
    func field(_ name: String) -> String? { head[name] }

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
                .timedOut, "the daemon at \(path) has sent nothing for \(patience) s")
        default: throw hungUp(path)
        }
    }

    private static func readHead(_ descriptor: Int32, _ client: AdminClient) throws -> HTTPHead {
        var answer: [UInt8] = []
        while true {
            guard let piece = try read(descriptor, client.path) else { throw hungUp(client.path) }
            answer += piece
            guard let head = HTTPHead(answer) else { continue }
            if head.status == 200 { return head }
            while let piece = try read(descriptor, client.path) { answer += piece }
            guard let whole = try HTTPAnswer(answer) else { throw hungUp(client.path) }
            throw client.refusal(whole)
        }
    }

    private static func hungUp(_ path: String) -> CommandFailure {
        CommandFailure(
            .unreachable, "the daemon at \(path) closed the connection before the end of its reply")
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
