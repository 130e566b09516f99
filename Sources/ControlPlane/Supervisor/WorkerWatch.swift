// SPDX-License-Identifier: Apache-2.0

/// Notices when a worker does no more rounds.
struct WorkerWatch {
    private var rounds: [(count: UInt64, changed: ContinuousClock.Instant)] = []

    /// Notes how many rounds each worker has done so far.
    mutating func note(_ counts: [UInt64], at now: ContinuousClock.Instant) {
        if rounds.count != counts.count {
            rounds = counts.map { ($0, now) }
        }
        for (index, count) in counts.enumerated() where rounds[index].count != count {
            rounds[index] = (count, now)
        }
    }

    /// Numbers of workers that have done no round since `time`, as far as was noted.
    func stuck(since time: ContinuousClock.Instant) -> [Int] {
        rounds.indices.filter { rounds[$0].changed <= time }
    }

    /// Whether every worker has done a round since `time`.
    func areAlive(since time: ContinuousClock.Instant) -> Bool { stuck(since: time).isEmpty }
}
