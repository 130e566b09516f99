// SPDX-License-Identifier: Apache-2.0
internal import DataPlane
internal import struct Foundation.Date

/// A backend that is probed again and again.
final class ProbedBackend {
    /// Probes between two of full size.
    private static let fullSizeEvery = 10
    /// Lost in a row until a tunnel counts as one that carries no large packets.
    private static let fullSizeFall = 2

    private(set) var target: HealthTarget
    private(set) var state: HealthState
    private let kit: ProbeKit
    private let report: (ProbedBackend, Bool) -> Void
    private let identifier: UInt16
    private var attempts: [ProbeAttempt] = []
    private var port: (isTCP: Bool, source: IPAddress, reserved: ReservedPort)?
    private var number: UInt16 = 0
    /// Whether the address itself answered when the tunnel did not; `nil` when it was not tried.
    private var addressAnswers: Bool?
    private var fullSizeFailures = 0
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
    func change(to target: HealthTarget) { self.target = target }

    /// Ends what is on its way, and sends no more.
    func stop() {
        isStopped = true
        attempts.forEach { $0.cancel() }
        attempts = []
    }

    /// Gives a packet from a VIP to those of its probes that wait for one.
    func take(_ packet: InnerPacket) { attempts.forEach { $0.take(packet) } }

    /// Where packets from VIPs to this backend's probes go: a port, or an echo identifier.
    var inbox: TunnelInbox? {
        guard case .tunnel = target.way else { return nil }
        return .init(port: port?.reserved.number, identifier: identifier)
    }

    // MARK: One probe

    private func probe() {
        guard !isStopped else { return }
        attempts.removeAll { $0.isOver }
        number &+= 1
        let began = ContinuousClock.now
        let finish = { [weak self] (outcome: ProbeOutcome) in
            guard let self, !self.isStopped else { return }
            self.note(outcome, began)
        }
        switch target.way {
        case .direct(let port):
            start(kit.direct(target, port: port, echo: echo(), finish: finish))
        case .tunnel(let tunnel):
            addressAnswers = nil
            if state.consecutiveFailures > 0 || target.configuration.fall == 1 {
                askAddress(tunnel)
            }
            if isFullSizeDue { probeFullSize(tunnel) }
            switch reservedPort(tunnel) {
            case .success(let port):
                start(kit.tunnelled(target, tunnel, port, echo: echo(), finish: finish))
            case .failure(let error):
                let outcome = error.outcome
                finish(ProbeOutcome(result: outcome.result, took: .zero, detail: outcome.detail))
            }
        }
    }

    private func start(_ attempt: ProbeAttempt) {
        attempts.append(attempt)
        kit.register(self)
        attempt.start()
    }

    private func echo(data: Int = 32) -> Echo {
        Echo(identifier: identifier, number: number, dataCount: data)
    }

    /// The port that probes of this backend come from; `nil` for those that need none.
    private func reservedPort(_ tunnel: Tunnel) -> Result<ReservedPort?, SocketError> {
        let kind = target.configuration.kind
        guard kind != .icmp else { return .success(nil) }
        let isTCP = kind != .dns
        if let port, port.isTCP == isTCP, port.source == tunnel.source {
            return .success(port.reserved)
        }
        guard let reserved = ReservedPort(tunnel.source, isTCP: isTCP) else {
            return .failure(SocketError(lastError()))
        }
        port = (isTCP, tunnel.source, reserved)
        return .success(reserved)
    }

    private func note(_ outcome: ProbeOutcome, _ began: ContinuousClock.Instant) {
        var outcome = outcome
        if outcome.result == .success, fullSizeFailures >= Self.fullSizeFall,
            case .tunnel(let tunnel) = target.way
        {
            outcome.result = .timeout
            outcome.detail = "packets of \(tunnel.largestPacket) bytes are lost"
        }
        let isChanged = state.note(
            outcome, target.configuration, diagnosis: diagnosis(of: outcome), at: Date())
        report(self, isChanged)
        // After a failure the next ones come sooner, so that `fall` of them fit into as many
        // intervals.
        let interval = target.configuration.interval
        let isDoubtful = state.health == .healthy && state.consecutiveFailures > 0
        let spread = Double(target.configuration.jitter) / 100
        let wait =
            (isDoubtful ? interval / 2 : interval) * Double.random(in: 1 - spread...1 + spread)
        kit.loop.after(max(wait - (.now - began), .zero)) { [weak self] in self?.probe() }
    }

    // MARK: What is at fault

    /// Which part is at fault, as far as the probes tell.
    private func diagnosis(of outcome: ProbeOutcome) -> String? {
        guard case .tunnel(let tunnel) = target.way else { return nil }
        if fullSizeFailures >= Self.fullSizeFall {
            return """
                small ones pass: the MTU on the way to \(tunnel.backend) is too small for the tunnel
                """
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
            kit.reachability(of: target, tunnel, echo: echo()) { [weak self] outcome in
                self?.addressAnswers = [.success, .refused, .badReply].contains(outcome.result)
            })
    }

    // MARK: Full size

    private var isFullSizeDue: Bool {
        target.configuration.fullSize
            && (fullSizeFailures > 0 || Int(number) % Self.fullSizeEvery == 1)
    }

    /// Two echo requests through the tunnel, a small one and one that fills it: only when the small
    /// one is answered does the other's fate say anything.
    private func probeFullSize(_ tunnel: Tunnel) {
        var small: Bool?
        var large: Bool?
        let judge = { [weak self] in
            guard let self, let small, let large, small else { return }
            self.fullSizeFailures = large ? 0 : self.fullSizeFailures + 1
        }
        let header = (tunnel.vip.family == .ipv4 ? 20 : 40) + 8
        let most = tunnel.largestPacket - header
        start(
            kit.echo(target, tunnel, echo(data: 8)) { outcome in
                small = outcome.result == .success
                judge()
            })
        start(
            kit.echo(target, tunnel, echo(data: most)) { outcome in
                large = outcome.result == .success
                judge()
            })
    }
}

/// Where packets from VIPs belong.
struct TunnelInbox: Hashable {
    var port: UInt16?
    var identifier: UInt16
}
