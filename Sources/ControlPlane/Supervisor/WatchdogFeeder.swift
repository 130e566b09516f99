// SPDX-License-Identifier: Apache-2.0

/// Decides when the supervisor's watchdog is fed: at half of its interval, and only when every
/// worker has done a round since it was fed last.
///
/// A worker that stands still so leads to a restart, instead of to a queue whose frames nobody
/// takes. One that was held up for a moment is forgiven as soon as it goes on.
struct WatchdogFeeder {
    private let period: Duration
    private var fed: ContinuousClock.Instant
    private var workers = WorkerWatch()

    /// A feeder of a watchdog that bites after `interval`, fed at `now`.
    ///
    /// `rounds` are those that each worker has done until then.
    init(interval: Duration, rounds: [UInt64], at now: ContinuousClock.Instant) {
        period = interval / 2
        fed = now
        workers.note(rounds, at: now)
    }

    /// How often ``isDue(_:at:)`` is to be asked: often enough to feed on time.
    var glance: Duration { min(period / 5, .seconds(1)) }

    /// Decides anew.
    ///
    /// - Parameters:
    ///   - rounds: Rounds that each worker has done so far.
    ///   - now: The present.
    /// - Returns: Whether it is to be fed now.
    mutating func isDue(_ rounds: [UInt64], at now: ContinuousClock.Instant) -> Bool {
        workers.note(rounds, at: now)
        guard now - fed >= period, workers.areAlive(since: fed) else { return false }
        fed = now
        return true
    }
}
