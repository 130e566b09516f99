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
