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
    /// Readable when there is something to be taken by the thread.
    let doorbell: Int32
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
            do throws(SocketError) { try Prober(self).run() } catch {
                self.fail("cannot wait for sockets", error)
            }
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

    var isStopped: Bool { shared.withLock { $0.isStopped } }

    func takeWanted() -> [HealthTarget]? {
        var count: UInt64 = 0
        _ = unsafe read(doorbell, &count, 8)
        return shared.withLock { shared in
            defer { shared.wanted = nil }
            return shared.wanted
        }
    }

    /// Notes what cannot be done, and the kernel's answer.
    func fail(_ what: String, _ error: SocketError) {
        shared.withLock { $0.failures.append("\(what): \(error.text)") }
        tell.yield()
    }

    func note(_ backend: ProbedBackend, from before: BackendHealth?) {
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
