// SPDX-License-Identifier: Apache-2.0

/// One probe on its way: it ends once, by what it finds or by its timeout.
class ProbeAttempt {
    let loop: ProbeLoop
    private let began = ContinuousClock.now
    private var finish: ((ProbeOutcome) -> Void)?

    /// An attempt that is not sent yet.
    ///
    /// - Parameters:
    ///   - loop: Whose thread this is.
    ///   - timeout: How long it may take.
    ///   - finish: Called once, unless it is cancelled.
    init(_ loop: ProbeLoop, timeout: Duration, finish: @escaping (ProbeOutcome) -> Void) {
        self.loop = loop
        self.finish = finish
        loop.after(timeout) { [weak self] in self?.end(.timeout) }
    }

    /// Sends what is to be sent.
    func start() {}

    /// Closes what was opened.
    func cleanUp() {}

    /// Takes a packet that came from a VIP; only for those inside a tunnel.
    func take(_ packet: InnerPacket) {}

    var isOver: Bool { finish == nil }

    func end(_ result: ProbeResult, _ detail: String = "") {
        guard let finish else { return }
        cancel()
        finish(ProbeOutcome(result: result, took: .now - began, detail: detail))
    }

    func end(by error: Int32) {
        let outcome = SocketError(error).outcome
        end(outcome.result, outcome.detail)
    }

    func end(by verdict: ProbeMove.Verdict) {
        switch verdict {
        case .success: end(.success)
        case .badReply(let reason): end(.badReply, reason)
        }
    }

    /// Ends it without a result.
    func cancel() {
        guard finish != nil else { return }
        finish = nil
        cleanUp()
    }
}
