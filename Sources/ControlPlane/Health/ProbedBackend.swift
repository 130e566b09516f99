// SPDX-License-Identifier: Apache-2.0
internal import DataPlane
internal import struct Foundation.Date

/// A backend that is probed again and again.
final class ProbedBackend {
    private(set) var target: HealthTarget
    private(set) var state: HealthState
    private let kit: ProbeKit
    private let report: (ProbedBackend, Bool) -> Void
    private let identifier: UInt16
    private var attempts: [ProbeAttempt] = []
    private var port: ReservedPort?
    private var number: UInt16 = 0
    /// Whether the address itself answered when the tunnel did not; `nil` when it was not tried.
    private var addressAnswers: Bool?
    private var fullSize = FullSizeRecord()
    private var isStopped = false

    /// A backend that is probed from `delay` on.
    ///
    /// - Parameters:
    ///   - target: What to probe.
    ///   - state: What is known of it.
    ///   - identifier: Tells its echo requests from others.
    ///   - kit: What probes are sent with.
    ///   - delay: Time until the first probe.
    ///   - report: Called after every probe, with whether its health changed.
    init(
        _ target: HealthTarget, _ state: HealthState, identifier: UInt16, _ kit: ProbeKit,
        delay: Duration, report: @escaping (ProbedBackend, Bool) -> Void
    ) {
        self.target = target
        self.state = state
        self.identifier = identifier
        self.kit = kit
        self.report = report
        kit.loop.after(delay) { [weak self] in self?.probe() }
    }

    /// Probes by another configuration from the next probe on.
    func change(to target: HealthTarget) {
        // What was found of another way, or by probes that are no longer sent, says nothing now.
        if target.way != self.target.way || !target.configuration.fullSize {
            fullSize = FullSizeRecord()
        }
        self.target = target
    }

    /// Ends what is on its way, and sends no more.
    func stop() {
        isStopped = true
        attempts.forEach { $0.cancel() }
        attempts = []
    }

    // MARK: One probe

    private func probe() {
        guard !isStopped else { return }
        attempts.removeAll(where: \.isOver)
        number &+= 1
        let began = ContinuousClock.now
        let finish = { [weak self] (outcome: ProbeOutcome) in
            guard let self, !self.isStopped else { return }
            self.note(outcome, began)
        }
        let health = target.configuration
        switch target.way {
        case .direct(let port):
            start(
                kit.direct(
                    health, to: target.key.endpoint.address, port: port, echo: echo,
                    finish: finish))
        case .tunnel(let tunnel):
            addressAnswers = nil
            if state.consecutiveFailures > 0 || health.fall == 1 { askAddress(tunnel) }
            if health.fullSize, fullSize.isDue(number) { probeFullSize(tunnel) }
            do throws(SocketError) {
                let port = try reservedPort(tunnel)
                start(kit.tunnelled(health, tunnel, from: port, echo: echo, finish: finish))
            } catch {
                let outcome = error.outcome
                finish(ProbeOutcome(result: outcome.result, took: .zero, detail: outcome.detail))
            }
        }
    }

    private func start(_ attempt: ProbeAttempt) {
        attempts.append(attempt)
        attempt.start()
    }

    private var echo: Echo { Echo(identifier: identifier, number: number) }

    /// The port that probes of this backend come from, kept from one to the next; `nil` for those
    /// that need none.
    private func reservedPort(_ tunnel: Tunnel) throws(SocketError) -> ReservedPort? {
        let health = target.configuration
        let transport = ReservedPort.Transport(of: health.kind)
        if let port, port.transport == transport, port.address == tunnel.source { return port }
        port = nil
        guard let transport else { return nil }
        let reserved = try ReservedPort(tunnel.source, transport)
        port = reserved
        return reserved
    }

    private func note(_ outcome: ProbeOutcome, _ began: ContinuousClock.Instant) {
        var outcome = outcome
        if outcome.result == .success, fullSize.areLost, case .tunnel(let tunnel) = target.way {
            outcome.result = .timeout
            outcome.detail = "packets of \(tunnel.largestPacket) bytes are lost"
        }
        let isChanged = state.note(
            outcome, target.configuration, diagnosis: diagnosis(of: outcome), at: Date())
        report(self, isChanged)
        let pause = target.configuration.pause(
            isDoubtful: state.health == .healthy && state.consecutiveFailures > 0,
            chance: .random(in: 0...1))
        kit.loop.after(max(pause - (.now - began), .zero)) { [weak self] in self?.probe() }
    }

    // MARK: What is at fault

    /// Which part is at fault, as far as the probes tell.
    private func diagnosis(of outcome: ProbeOutcome) -> String? {
        guard case .tunnel(let tunnel) = target.way else { return nil }
        if fullSize.areLost {
            return """
                small ones pass: the MTU on the way to \(tunnel.backend) is too small for the tunnel
                """
        }
        if let words = outcome.refusedTunnel {
            return "\(tunnel.backend) does not decapsulate (\(words))"
        }
        switch (outcome.result, addressAnswers) {
        case (.refused, _): return "nothing listens on the VIP there"
        case (.timeout, true?):
            return """
                \(tunnel.backend) itself answers: no decapsulation there, no VIP, or rp_filter drops it
                """
        case (.timeout, false?): return "\(tunnel.backend) itself does not answer either"
        default: return nil
        }
    }

    /// Tries the backend's own address beside the tunnel: whether its host answers at all.
    private func askAddress(_ tunnel: Tunnel) {
        start(
            kit.reachability(target.configuration, tunnel, echo: echo) { [weak self] outcome in
                self?.addressAnswers = [.success, .refused, .badReply].contains(outcome.result)
            })
    }

    private func probeFullSize(_ tunnel: Tunnel) {
        let pair = kit.fullSize(
            tunnel, tunnel.largestPacket, identifier: identifier, number: number,
            timeout: target.configuration.timeout
        ) { [weak self] carried in
            // It may have been switched off, or the way changed, since it was sent.
            guard let self, self.target.configuration.fullSize, self.target.way == .tunnel(tunnel)
            else { return }
            self.fullSize.note(carried)
        }
        pair.forEach(start)
    }
}
