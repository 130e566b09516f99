// SPDX-License-Identifier: Apache-2.0
public import ServiceLifecycle

/// Tells what probes find, and has the reconciler act on it.
public struct HealthMonitor: Service {
    /// Between two generations by health, so that many transitions are one.
    private static let pause = Duration.milliseconds(20)

    private let checker: HealthChecker
    private let events: EventLog
    private let apply: @Sendable () async -> Void

    /// A monitor of a checker.
    ///
    /// - Parameters:
    ///   - checker: Who probes.
    ///   - events: Where transitions are told.
    ///   - apply: Called when the health of backends has changed.
    public init(
        _ checker: HealthChecker, events: EventLog, apply: @escaping @Sendable () async -> Void
    ) {
        self.checker = checker
        self.events = events
        self.apply = apply
    }

    /// Follows the checker until the daemon stops, and ends it then.
    public func run() async throws {
        await withGracefulShutdownHandler {
            for await _ in checker.changes {
                for transition in checker.takeTransitions() { tell(transition) }
                for failure in checker.takeFailures() {
                    events.record(
                        .probingFailed, .error,
                        [
                            "message": failure,
                            "consequence": "backends with a health check get no connections",
                            "remedy": "look at open files and CAP_NET_RAW, then restart",
                        ])
                }
                await apply()
                try? await Task.sleep(for: Self.pause)
            }
        } onGracefulShutdown: {
            checker.stop()
        }
    }

    private func tell(_ transition: HealthChecker.Transition) {
        let isHealthy = transition.state.health == .healthy
        events.record(
            .backendHealth, isHealthy ? .notice : .warning,
            [
                "service": transition.key.service, "backend": transition.name,
                "from": transition.from.rawValue, "to": transition.state.health.rawValue,
                "reason": transition.state.reason ?? transition.state.probe,
            ])
    }
}
