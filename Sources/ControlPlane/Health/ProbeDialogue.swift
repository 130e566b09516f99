// SPDX-License-Identifier: Apache-2.0

/// What a probe says and expects on a connection that is open.
///
/// Knows nothing of sockets: bytes go in, bytes and a judgement come out.
protocol ProbeDialogue: AnyObject {
    /// The connection is open.
    func opened() -> ProbeMove
    /// The backend sent bytes.
    func received(_ bytes: [UInt8]) -> ProbeMove
    /// The backend sends no more.
    func ended() -> ProbeMove
}

/// What follows from an event on a connection.
struct ProbeMove: Equatable {
    /// Bytes to send.
    var send: [UInt8] = []
    /// How the probe ends; `nil` while it goes on.
    var verdict: Verdict?

    /// A judgement.
    enum Verdict: Equatable {
        case success
        case badReply(String)
    }

    static let success = ProbeMove(verdict: .success)
    static func bad(_ reason: String) -> ProbeMove { ProbeMove(verdict: .badReply(reason)) }
}

/// `tcp`: that the connection opens is all that is asked for.
final class ConnectDialogue: ProbeDialogue {
    func opened() -> ProbeMove { .success }
    func received(_: [UInt8]) -> ProbeMove { .success }
    func ended() -> ProbeMove { .success }
}

/// `http`: a request, and what is expected of the answer (RFC 9112).
final class HTTPDialogue: ProbeDialogue {
    /// Bytes of an answer that are looked at.
    private static let limit = 64 << 10

    private let request: [UInt8]
    private let statuses: [ClosedRange<Int>]
    private let wanted: [UInt8]?
    private var answer: [UInt8] = []

    init(_ configuration: HealthConfiguration, host: String) {
        let text = """
            GET \(configuration.path) HTTP/1.1\r\nHost: \(configuration.host ?? host)\r\n\
            User-Agent: xdplb-health\r\nAccept: */*\r\nConnection: close\r\n\r\n
            """
        request = Array(text.utf8)
        statuses = configuration.statuses
        wanted = configuration.body.map { Array($0.utf8) }
    }

    func opened() -> ProbeMove { ProbeMove(send: request) }

    func received(_ bytes: [UInt8]) -> ProbeMove {
        answer += bytes.prefix(Self.limit - answer.count)
        return judge(isOver: answer.count >= Self.limit)
    }

    func ended() -> ProbeMove { judge(isOver: true) }

    private func judge(isOver: Bool) -> ProbeMove {
        guard let line = answer.firstIndex(of: UInt8(ascii: "\n")) else {
            if !isOver, Self.mayBeHTTP(answer) { return ProbeMove() }
            return .bad(answer.isEmpty ? "closed without an answer" : "no HTTP")
        }
        let words = String(decoding: answer[..<line], as: UTF8.self).split(separator: " ")
        guard words.count >= 2, words[0].hasPrefix("HTTP/1."), let status = Int(words[1].prefix(3))
        else { return .bad("no HTTP") }
        guard statuses.contains(where: { $0.contains(status) }) else {
            return .bad("status \(status)")
        }
        guard let wanted else { return .success }
        if let end = answer.firstRange(of: Array("\r\n\r\n".utf8)),
            !answer[end.upperBound...].ranges(of: wanted).isEmpty
        {
            return .success
        }
        return isOver ? .bad("status \(status), body without the expected text") : ProbeMove()
    }

    private static func mayBeHTTP(_ bytes: [UInt8]) -> Bool {
        let start = Array("HTTP/1.".utf8)
        return bytes.count < 256 && zip(bytes, start).allSatisfy { $0 == $1 }
    }
}
