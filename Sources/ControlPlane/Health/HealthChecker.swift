// SPDX-License-Identifier: Apache-2.0
internal import CPlatform
internal import DataPlane
internal import Foundation
internal import Synchronization

/// Probes backends on a thread of its own, and tells when the health of one changes.
///
/// The one owner of health. What is to be probed comes from the reconciler with every generation;
/// what was found is read from here at any time.
public final class HealthChecker: Sendable {
    /// A backend whose health changed.
    struct Transition: Sendable {
        var key: IdentityRegistry.BackendKey
        var name: String
        var from: BackendHealth
        var state: HealthState
    }

    private struct Shared {
        var wanted: [HealthTarget]?
        var isStopped = false
        var states: [IdentityRegistry.BackendKey: HealthState] = [:]
        var transitions: [Transition] = []
        var failures: [String] = []
    }

    private let shared = Mutex(Shared())
    private let doorbell: Int32
    /// Has an element when there are transitions or failures to be taken.
    let changes: AsyncStream<Void>
    private let tell: AsyncStream<Void>.Continuation

    /// A checker that probes nothing yet.
    public init() {
        (changes, tell) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
        doorbell = cplatform_eventfd()
        let thread = Thread { [weak self] in
            _ = unsafe cplatform_name_and_pin_thread("xdplb-health", -1)
            guard let self else { return }
            guard let prober = Prober(self) else {
                return self.fail("cannot wait for sockets", lastError())
            }
            prober.run()
        }
        thread.start()
    }

    deinit { close(doorbell) }

    /// Probes these from now on, and no others; what is known of those that stay is kept.
    func probe(_ targets: [HealthTarget]) {
        shared.withLock { shared in
            shared.wanted = targets
            let keys = Set(targets.map(\.key))
            shared.states = shared.states.filter { keys.contains($0.key) }
        }
        ring()
    }

    /// What is known of all backends that are probed.
    var states: [IdentityRegistry.BackendKey: HealthState] { shared.withLock { $0.states } }

    /// What has changed since the last call, in order.
    func takeTransitions() -> [Transition] {
        shared.withLock { shared in
            defer { shared.transitions = [] }
            return shared.transitions
        }
    }

    /// Why nothing, or not all, can be probed: what failed since the last call.
    func takeFailures() -> [String] {
        shared.withLock { shared in
            defer { shared.failures = [] }
            return shared.failures
        }
    }

    /// Ends the thread.
    public func stop() {
        shared.withLock { $0.isStopped = true }
        tell.finish()
        ring()
    }

    private func ring() {
        var one: UInt64 = 1
        _ = unsafe write(doorbell, &one, 8)
    }

    // MARK: The thread's side

    fileprivate var doorbellDescriptor: Int32 { doorbell }
    fileprivate var isStopped: Bool { shared.withLock { $0.isStopped } }

    fileprivate func takeWanted() -> [HealthTarget]? {
        var count: UInt64 = 0
        _ = unsafe read(doorbell, &count, 8)
        return shared.withLock { shared in
            defer { shared.wanted = nil }
            return shared.wanted
        }
    }

    /// Notes what cannot be done, and the kernel's answer.
    fileprivate func fail(_ what: String, _ error: Int32) {
        let answer = unsafe String(cString: strerror(error))
        shared.withLock { $0.failures.append("\(what): \(answer)") }
        tell.yield()
    }

    fileprivate func note(_ backend: ProbedBackend, from before: BackendHealth?) {
        shared.withLock { shared in
            shared.states[backend.target.key] = backend.state
            guard let before else { return }
            shared.transitions.append(
                Transition(
                    key: backend.target.key, name: backend.target.name, from: before,
                    state: backend.state))
        }
        if before != nil { tell.yield() }
    }
}

/// The thread that probes: the loop, what is sent with, and the backends.
private final class Prober {
    /// Between the first probes of two backends, so that many do not start at once.
    private static let stagger = Duration.milliseconds(2)

    private unowned let checker: HealthChecker
    private let loop: ProbeLoop
    private let kit: ProbeKit
    private var backends: [IdentityRegistry.BackendKey: ProbedBackend] = [:]
    private var nextIdentifier = UInt16.random(in: .min ... .max)

    init?(_ checker: HealthChecker) {
        guard let loop = ProbeLoop() else { return nil }
        self.checker = checker
        self.loop = loop
        kit = ProbeKit(loop)
    }

    func run() {
        _ = loop.watch(checker.doorbellDescriptor, for: .reading) { [unowned self] in
            if let targets = checker.takeWanted() { change(to: targets) }
        }
        loop.run { checker.isStopped }
        backends.values.forEach { $0.stop() }
    }

    private func change(to targets: [HealthTarget]) {
        let keys = Set(targets.map(\.key))
        for (key, backend) in backends where !keys.contains(key) {
            backend.stop()
            kit.unregister(backend)
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
        let vips = targets.compactMap { target -> IPAddress? in
            if case .tunnel(let tunnel) = target.way { tunnel.vip } else { nil }
        }
        let (added, error) = kit.sockets.listen(to: Set(vips))
        if error != 0 { checker.fail("cannot hear what VIPs answer to probes", error) }
        for socket in added {
            let descriptor = socket.descriptor
            _ = loop.watch(descriptor, for: .reading) { [unowned self] in
                for packet in kit.sockets.takeAnswers(descriptor) { kit.deliver(packet) }
            }
        }
    }
}
