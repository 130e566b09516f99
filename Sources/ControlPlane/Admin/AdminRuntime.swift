// SPDX-License-Identifier: Apache-2.0
internal import DataPlane
internal import Synchronization

/// What the routes share: rates, who listens to events, whether the workers run, whether the daemon
/// is on its way out.
///
/// Written by the sampling task and by requests, read by requests.
final class AdminRuntime: Sendable {
    let rates = RateSampler()
    let census = CensusTaker()
    let captures: CaptureDesk
    let hub = EventHub()
    private let stopping = Atomic<Bool>(false)
    private let workers = Mutex(WorkerWatch())

    /// A state that tells of captures.
    init(events: EventLog) { captures = CaptureDesk(events: events) }

    /// Whether the daemon is on its way out.
    var isStopping: Bool { stopping.load(ordering: .relaxed) }

    /// Says that the daemon is on its way out.
    func stop() {
        stopping.store(true, ordering: .relaxed)
        hub.end()
    }

    /// Notes how many rounds each worker has done.
    func watch(_ pages: [CounterPage], at now: ContinuousClock.Instant = .now) {
        workers.withLock { $0.note(pages.map { $0[.rounds] }, at: now) }
    }

    /// Numbers of workers that have done no round within the last second.
    func stuckWorkers(
        _ pages: [CounterPage], at now: ContinuousClock.Instant = .now
    ) -> [Int] {
        watch(pages, at: now)
        return workers.withLock { $0.stuck(since: now - .seconds(1)) }
    }

    /// Whether every worker has done a round within the last second.
    func areWorkersAlive(_ pages: [CounterPage]) -> Bool { stuckWorkers(pages).isEmpty }
}
