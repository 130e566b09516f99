// SPDX-License-Identifier: Apache-2.0
internal import DataPlane
internal import Synchronization

/// What the routes share: rates, who listens to events, whether the workers run, whether the daemon
/// is on its way out.
///
/// Written by the sampling task and by requests, read by requests.
final class AdminRuntime: Sendable {
    let rates = RateSampler()
    let events = EventHub()
    private let stopping = Atomic<Bool>(false)
    private let rounds = Mutex<[(count: UInt64, changed: ContinuousClock.Instant)]>([])

    /// Whether the daemon is on its way out.
    var isStopping: Bool { stopping.load(ordering: .relaxed) }

    /// Says that the daemon is on its way out.
    func stop() {
        stopping.store(true, ordering: .relaxed)
        events.end()
    }

    /// Notes how many rounds each worker has done.
    func watch(_ pages: [CounterPage], at now: ContinuousClock.Instant = .now) {
        rounds.withLock { rounds in
            if rounds.count != pages.count {
                rounds = pages.map { ($0[.rounds], now) }
            }
            for (index, page) in pages.enumerated() where rounds[index].count != page[.rounds] {
                rounds[index] = (page[.rounds], now)
            }
        }
    }

    /// Whether every worker has done a round within the last second.
    func areWorkersAlive(
        _ pages: [CounterPage], at now: ContinuousClock.Instant = .now
    ) -> Bool {
        watch(pages, at: now)
        return rounds.withLock { rounds in
            rounds.allSatisfy { now - $0.changed < .seconds(1) }
        }
    }
}
