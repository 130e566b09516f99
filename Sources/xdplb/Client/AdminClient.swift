// SPDX-License-Identifier: Apache-2.0
import ControlPlane
import Foundation

/// Speaks HTTP/1.1 to the daemon over its Unix socket, one request a connection.
///
/// No HTTP library in the tree speaks over Unix sockets without doubling the build; what is needed
/// of the protocol is a request line and an answer that ends with the connection.
struct AdminClient {
    let path: String
    /// Longest wait for an answer.
    var timeoutSeconds = 30

    /// The status and body of an answer.
    struct Answer {
        var status: Int
        var body: Data
    }

    /// Reads a document.
    func get<Document: Decodable>(_ type: Document.Type, _ target: String) throws -> Document {
        try decode(type, try send("GET", target))
    }

    /// Reads a document that needs a question.
    func ask<Document: Decodable>(
        _ type: Document.Type, _ target: String, _ question: some Encodable
    ) throws -> Document {
        try decode(type, try send("POST", target, AdminJSON.encode(question)))
    }

    /// Asks for a change.
    func change(_ method: String, _ target: String) throws -> ChangeDocument {
        try decode(ChangeDocument.self, try send(method, target))
    }

    /// Asks for a change that needs more words.
    func change(
        _ method: String, _ target: String, _ body: some Encodable
    ) throws -> ChangeDocument {
        try decode(ChangeDocument.self, try send(method, target, AdminJSON.encode(body)))
    }

    /// Decodes the document of an answer that is none of a refusal.
    ///
    /// - Throws: ``CommandFailure`` with the daemon's words and the exit code for its refusal.
    func decode<Document: Decodable>(_ type: Document.Type, _ answer: Answer) throws -> Document {
        guard answer.status == 200 else { throw refusal(answer) }
        do {
            return try AdminJSON.decode(type, from: answer.body)
        } catch {
            throw CommandFailure(
                .refused,
                """
                the daemon at \(path) answers in words of another version (\(error)). Use the \
                program that it was started from
                """)
        }
    }

    /// The failure that the daemon's refusal is.
    func refusal(_ answer: Answer) -> CommandFailure {
        let document = try? AdminJSON.decode(ErrorDocument.self, from: answer.body)
        let message = document?.error.message ?? "the daemon answers with status \(answer.status)"
        switch answer.status {
        case 400: return CommandFailure(.invalid, message)
        case 504: return CommandFailure(.timedOut, message)
        default: return CommandFailure(.refused, message)
        }
    }

    // MARK: The wire

    /// Sends a request and reads the answer to its end.
    ///
    /// - Throws: ``CommandFailure`` when nobody answers.
    func send(_ method: String, _ target: String, _ body: Data? = nil) throws -> Answer {
        let descriptor = try connect()
        defer { close(descriptor) }
        var bytes = Array(requestHead(method, target, body).utf8)
        bytes += body.map { Array($0) } ?? []
        write(bytes, to: descriptor)
        guard let answer = Self.parse(try readAll(descriptor)) else {
            throw CommandFailure(
                .unreachable,
                """
                the daemon at \(path) hung up before it had answered. Whether something was changed \
                'xdplb status' says, or the daemon's log
                """)
        }
        return answer
    }

    /// A request up to its body.
    func requestHead(_ method: String, _ target: String, _ body: Data?) -> String {
        var request = "\(method) \(target) HTTP/1.1\r\nHost: xdplb\r\nConnection: close\r\n"
        if let body {
            request += "Content-Type: application/json\r\nContent-Length: \(body.count)\r\n"
        }
        return request + "\r\n"
    }

    /// Connects to the daemon.
    ///
    /// - Throws: ``CommandFailure`` when nobody answers.
    func connect() throws -> Int32 {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        guard descriptor >= 0 else {
            throw CommandFailure(
                .unreachable, "cannot make a socket: \(unsafe String(cString: strerror(errno)))")
        }
        guard path.utf8.count < MemoryLayout.size(ofValue: address.sun_path) else {
            close(descriptor)
            throw CommandFailure(
                .invalid,
                "the path \(path) is too long for a socket (107 bytes): name another --admin-socket"
            )
        }
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { bytes in
            unsafe bytes.copyBytes(from: path.utf8)
        }
        var timeout = timeval(tv_sec: timeoutSeconds, tv_usec: 0)
        // The one for sending also bounds the wait for a daemon that accepts nobody.
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            _ = unsafe setsockopt(
                descriptor, SOL_SOCKET, option, &timeout, socklen_t(MemoryLayout<timeval>.size))
        }
        let result = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                unsafe Glibc.connect(
                    descriptor, pointer, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard result == 0 else {
            let error = errno
            close(descriptor)
            let remedy =
                error == EACCES
                ? "Be root, or a member of the group that may look (admin.read_group)"
                : "Start it with 'xdplb run', or name its socket: --admin-socket, XDPLB_ADMIN_SOCKET"
            throw CommandFailure(
                .unreachable,
                "no daemon answers at \(path): \(unsafe String(cString: strerror(error))). \(remedy)"
            )
        }
        return descriptor
    }

    /// Writes as much as the daemon takes: one that refuses early answers, and reads no more.
    func write(_ bytes: [UInt8], to descriptor: Int32) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes { bytes in
                unsafe Glibc.send(descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL))
            }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { return }
            rest = rest.dropFirst(count)
        }
    }

    private func readAll(_ descriptor: Int32) throws -> [UInt8] {
        var answer: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = unsafe read(descriptor, &buffer, buffer.count)
            if count < 0 && errno == EINTR { continue }
            if count < 0 && errno == EAGAIN {
                throw CommandFailure(
                    .timedOut,
                    """
                    the daemon at \(path) did not answer within \(timeoutSeconds) s; what was \
                    started goes on
                    """)
            }
            guard count > 0 else { return answer }
            answer += buffer[..<count]
        }
    }

    /// Takes an answer apart; `nil` when it is no whole one.
    static func parse(_ bytes: [UInt8]) -> Answer? {
        let separator = Array("\r\n\r\n".utf8)
        guard let end = bytes.firstRange(of: separator) else { return nil }
        let head = String(decoding: bytes[..<end.lowerBound], as: UTF8.self)
        let lines = head.components(separatedBy: "\r\n")
        guard let status = lines[0].split(separator: " ").dropFirst().first.flatMap({ Int($0) })
        else { return nil }
        let body = Array(bytes[end.upperBound...])
        let isChunked = lines.contains {
            $0.lowercased().hasPrefix("transfer-encoding:") && $0.lowercased().contains("chunked")
        }
        guard isChunked else {
            let length = lines.first { $0.lowercased().hasPrefix("content-length:") }
                .flatMap { Int($0.dropFirst(15).trimmingCharacters(in: .whitespaces)) }
            guard body.count >= length ?? 0 else { return nil }
            return Answer(status: status, body: Data(body))
        }
        return dechunked(body).map { Answer(status: status, body: Data($0)) }
    }

    /// Joins the chunks of a body (RFC 9112 §7.1).
    private static func dechunked(_ body: [UInt8]) -> [UInt8]? {
        var result: [UInt8] = []
        var rest = body[...]
        while let end = rest.firstRange(of: Array("\r\n".utf8)) {
            let size = String(decoding: rest[rest.startIndex..<end.lowerBound], as: UTF8.self)
            guard let count = UInt32(size.prefix { $0 != ";" }, radix: 16).map(Int.init) else {
                return nil
            }
            if count == 0 { return result }
            let start = end.upperBound
            guard rest.endIndex - start >= count + 2 else { return nil }
            result += rest[start..<start + count]
            rest = rest[(start + count + 2)...]
        }
        return nil
    }
}

extension String {
    /// As a part of a path or a query: everything but letters, digits and `-._~` escaped.
    var escapedForURL: String {
        let allowed = CharacterSet.alphanumerics.union(.init(charactersIn: "-._~"))
        return addingPercentEncoding(withAllowedCharacters: allowed) ?? self
    }
}
