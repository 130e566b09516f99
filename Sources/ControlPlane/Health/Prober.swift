// SPDX-License-Identifier: Apache-2.0
internal import DataPlane
internal import struct Foundation.Date

/// The thread that probes: the loop, what is sent with, and the backends.
final class Prober {
    /// Between the first probes of two backends, so that many do not start at once.
    private static let stagger = Duration.milliseconds(2)

    private let checker: HealthChecker
    private let loop: ProbeLoop
    private let kit: ProbeKit
    private var backends: [IdentityRegistry.BackendKey: ProbedBackend] = [:]
    private var nextIdentifier = UInt16.random(in: .min ... .max)

    init(_ checker: HealthChecker) throws(SocketError) {
        self.checker = checker
        loop = try ProbeLoop()
        kit = ProbeKit(loop)
    }

    /// Probes until the checker is stopped.
    func run() throws(SocketError) {
        try loop.watch(checker.doorbell, for: .reading) { [unowned self] in
            if let targets = checker.takeWanted() { change(to: targets) }
        }
        loop.run { checker.isStopped }
        backends.values.forEach { $0.stop() }
    }

    private func change(to targets: [HealthTarget]) {
        let keys = Set(targets.map(\.key))
        for (key, backend) in backends where !keys.contains(key) {
            backend.stop()
            backends[key] = nil
        }
        listen(targets)
        var fresh = 0
        for target in targets {
            if let known = backends[target.key] {
                if known.target != target { known.change(to: target) }
                continue
            }
            let delay = min(Self.stagger * fresh, target.configuration.interval)
            fresh += 1
            begin(target, after: delay)
        }
    }

    private func begin(_ target: HealthTarget, after delay: Duration) {
        nextIdentifier &+= 1
        var before = target.isTrusted ? BackendHealth.healthy : .unknown
        let state = HealthState(at: Date(), health: before)
        let backend = ProbedBackend(
            target, state, identifier: nextIdentifier, kit, delay: delay
        ) { [unowned checker] backend, isChanged in
            checker.note(backend, from: isChanged ? before : nil)
            before = backend.state.health
        }
        backends[target.key] = backend
        checker.note(backend, from: nil)
    }

    private func listen(_ targets: [HealthTarget]) {
        let tunnels = targets.compactMap { target in
            if case .tunnel(let tunnel) = target.way { tunnel } else { nil as Tunnel? }
        }
        kit.sockets.keepErrors(of: Set(tunnels.map(\.backend)))
        do throws(SocketError) { try kit.sockets.listen(to: Set(tunnels.map(\.vip))) } catch {
            checker.fail("cannot hear what VIPs answer to probes", error)
        }
    }
}
