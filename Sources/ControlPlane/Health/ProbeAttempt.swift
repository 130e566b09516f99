// SPDX-License-Identifier: Apache-2.0

/// One probe on its way: it ends once, by what it finds or by its timeout.
class ProbeAttempt {
    let loop: ProbeLoop
    let began = ContinuousClock.now
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
    final func start() {
        trying { () throws(SocketError) in try begin() }
    }

    /// What ``start()`` does.
    func begin() throws(SocketError) {}

    /// Closes what was opened.
    func cleanUp() {}

    /// What ICMP says of the packets that were sent, an `errno` value.
    ///
    /// It may be forged, so it ends no attempt; it tells what one that got no answer is due to.
    var rejection: Int32? { nil }

    var isOver: Bool { finish == nil }

    /// Does what ends the attempt if it fails.
    final func trying(_ body: () throws(SocketError) -> Void) {
        do throws(SocketError) { try body() } catch {
            let outcome = error.outcome
            end(outcome.result, outcome.detail, error: error.number)
        }
    }

    func end(_ result: ProbeResult, _ detail: String = "", error: Int32? = nil) {
        guard let finish else { return }
        var outcome = ProbeOutcome(result: result, took: .now - began, detail: detail)
        outcome.error = error
        if result == .timeout { outcome.rejection = rejection }
        cancel()
        finish(outcome)
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
