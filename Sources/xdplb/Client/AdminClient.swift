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
    func decode<Document: Decodable>(_ type: Document.Type, _ answer: HTTPAnswer) throws -> Document
    {
        guard answer.status == 200 else { throw refusal(answer) }
        do {
            return try AdminJSON.decode(type, from: answer.body)
        } catch {
            throw CommandFailure(
                .refused,
                """
                cannot read the reply of the daemon at \(path): it is another version (\(error)). \
                Use the xdplb binary it was started from
                """)
        }
    }

    /// The failure that the daemon's refusal is.
    func refusal(_ answer: HTTPAnswer) -> CommandFailure {
        let document = try? AdminJSON.decode(ErrorDocument.self, from: answer.body)
        let message = document?.error.message ?? "the daemon replied with status \(answer.status)"
        return CommandFailure(answer.status == 400 ? .invalid : .refused, message)
    }

    // MARK: The wire

    /// Sends a request and reads the answer to its end.
    ///
    /// - Parameters:
    ///   - method: Method of HTTP.
    ///   - target: Path and query.
    ///   - body: A JSON document, if any.
    ///   - wait: Called every 200 ms while nothing has come; what it throws ends the wait, and the
    ///     connection with it. Unless given, the wait ends after ``timeoutSeconds``.
    /// - Returns: The answer, whatever its status.
    /// - Throws: ``CommandFailure`` when nobody answers.
    func send(
        _ method: String, _ target: String, _ body: Data? = nil,
        while wait: (() throws -> Void)? = nil
    ) throws -> HTTPAnswer {
        let descriptor = try connect()
        defer { close(descriptor) }
        var bytes = Array(requestHead(method, target, body).utf8)
        bytes += body.map { Array($0) } ?? []
        write(bytes, to: descriptor)
        if wait != nil { Self.bound(descriptor, SO_RCVTIMEO, milliseconds: 200) }
        guard let answer = try HTTPAnswer(try readAll(descriptor, wait)) else {
            throw CommandFailure(
                .unreachable,
                """
                the daemon at \(path) closed the connection without replying. The change may have \
                been applied: see 'xdplb status' or the daemon's log
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
        // The one for sending also bounds the wait for a daemon that accepts nobody.
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            Self.bound(descriptor, option, milliseconds: timeoutSeconds * 1000)
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
                ? "Run this as root, or as a member of the group that may read (admin.read_group)"
                : "Start it with 'xdplb run', or name its socket: --admin-socket, XDPLB_ADMIN_SOCKET"
            throw CommandFailure(
                .unreachable,
                "no daemon answers at \(path): \(unsafe String(cString: strerror(error))). \(remedy)"
            )
        }
        return descriptor
    }

    private static func bound(_ descriptor: Int32, _ option: Int32, milliseconds: Int) {
        var timeout = timeval(tv_sec: milliseconds / 1000, tv_usec: milliseconds % 1000 * 1000)
        _ = unsafe setsockopt(
            descriptor, SOL_SOCKET, option, &timeout, socklen_t(MemoryLayout<timeval>.size))
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

    private func readAll(_ descriptor: Int32, _ wait: (() throws -> Void)?) throws -> [UInt8] {
        var answer: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = unsafe read(descriptor, &buffer, buffer.count)
            if count < 0 && errno == EINTR { continue }
            if count < 0 && errno == EAGAIN {
                if let wait {
                    try wait()
                    continue
                }
                throw CommandFailure(
                    .timedOut,
                    """
                    the daemon at \(path) did not reply within \(timeoutSeconds) s. The change may \
                    still be applied: see 'xdplb status' or the daemon's log
                    """)
            }
            guard count > 0 else { return answer }
            answer += buffer[..<count]
        }
    }
}

extension String {
    /// As a part of a path or a query: everything but letters, digits and `-._~` escaped.
    var escapedForURL: String {
        let allowed = CharacterSet.alphanumerics.union(.init(charactersIn: "-._~"))
        return addingPercentEncoding(withAllowedCharacters: allowed) ?? self
    }
}
