// SPDX-License-Identifier: Apache-2.0

/// `http`: a request, and what is expected of the answer (RFC 9112).
final class HTTPDialogue: ProbeDialogue {
    /// Bytes of an answer that are looked at.
    private static let limit = 64 << 10

    private let request: [UInt8]
    private let statuses: [ClosedRange<Int>]
    private let wantsText: Bool
    private var answer: HTTPAnswer
    private var byteCount = 0

    init(_ configuration: HealthConfiguration, host: String) {
        let text = """
            GET \(configuration.path) HTTP/1.1\r\nHost: \(configuration.host ?? host)\r\n\
            User-Agent: xdplb-health\r\nAccept: */*\r\nConnection: close\r\n\r\n
            """
        request = Array(text.utf8)
        statuses = configuration.statuses
        let wanted = Array((configuration.body ?? "").utf8)
        wantsText = !wanted.isEmpty
        answer = HTTPAnswer(lookingFor: wanted)
    }

    func opened() -> ProbeMove { ProbeMove(send: request) }

    func received(_ bytes: [UInt8]) -> ProbeMove {
        let taken = bytes.prefix(Self.limit - byteCount)
        byteCount += taken.count
        do throws(HTTPAnswer.Fault) { try answer.take(taken) } catch { return .bad(error.words) }
        return judge(isOver: answer.isOver || byteCount >= Self.limit)
    }

    func ended() -> ProbeMove { judge(isOver: true) }

    private func judge(isOver: Bool) -> ProbeMove {
        guard let status = answer.status else {
            guard isOver else { return ProbeMove() }
            return .bad(byteCount == 0 ? "closed without an answer" : "no HTTP")
        }
        guard statuses.contains(where: { $0.contains(status) }) else {
            return .bad("status \(status)")
        }
        if !wantsText || answer.hasText { return .success }
        return isOver ? .bad("status \(status), body without the expected text") : ProbeMove()
    }
}
