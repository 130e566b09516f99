// SPDX-License-Identifier: Apache-2.0

/// Tells when rings lose, tables fill or workers stand still: when it begins, and not each second.
struct LoadWatch {
    /// What there is to see at a moment.
    struct Sight {
        var interface: String
        /// Queue of each worker.
        var queues: [Int]
        /// Losses of each worker's rings since the start.
        var ringLosses: [UInt64]
        /// Entries of all connection tables in use, and all there are.
        var entries: UInt64
        var capacity: UInt64
        /// Workers that have done no round within the last second.
        var stuckWorkers: [Int]
    }

    /// Something to be told.
    struct Finding {
        var kind: EventKind
        var level: EventLevel
        var fields: [(name: String, value: String)]
    }

    /// Share of entries from which on tables are nearly full, and below which no longer: the alert's.
    private static let full = 0.9
    private static let roomy = 0.8
    /// Looks without a loss after which the next one is told anew.
    private static let calm = 60

    private var losses: [UInt64]?
    private var looksSinceLoss = calm
    private var isNearlyFull = false
    private var stuck: Set<Int> = []

    /// What is new since the last look.
    mutating func look(_ sight: Sight) -> [Finding] {
        lookAtRings(sight) + lookAtTables(sight) + lookAtWorkers(sight)
    }

    private mutating func lookAtRings(_ sight: Sight) -> [Finding] {
        let before = losses ?? sight.ringLosses
        losses = sight.ringLosses
        let lost = zip(sight.ringLosses, before).map { $0 - min($0, $1) }
        defer { looksSinceLoss = lost.contains { $0 > 0 } ? 0 : min(looksSinceLoss + 1, Self.calm) }
        guard looksSinceLoss >= Self.calm else { return [] }
        return lost.indices.filter { lost[$0] > 0 }.map { worker in
            Finding(
                kind: .ringLoss, level: .warning,
                fields: [
                    ("interface", sight.interface), ("queue", "\(sight.queues[worker])"),
                    ("worker", "\(worker)"), ("lost", "\(lost[worker])"),
                    ("message", "frames were lost in rings; 'xdplb drops' says in which"),
                ])
        }
    }

    private mutating func lookAtTables(_ sight: Sight) -> [Finding] {
        let share = Double(sight.entries) / Double(max(sight.capacity, 1))
        let wasNearlyFull = isNearlyFull
        isNearlyFull = share >= (isNearlyFull ? Self.roomy : Self.full)
        guard isNearlyFull, !wasNearlyFull else { return [] }
        return [
            Finding(
                kind: .tablePressure, level: .warning,
                fields: [
                    ("entries", "\(sight.entries)"), ("capacity", "\(sight.capacity)"),
                    ("message", "the connection tables are nearly full"),
                ])
        ]
    }

    private mutating func lookAtWorkers(_ sight: Sight) -> [Finding] {
        let fresh = sight.stuckWorkers.filter { !stuck.contains($0) }
        stuck = Set(sight.stuckWorkers)
        return fresh.map { worker in
            Finding(
                kind: .workerStuck, level: .error,
                fields: [
                    ("worker", "\(worker)"), ("interface", sight.interface),
                    ("queue", "\(sight.queues[worker])"),
                    ("message", "it has done nothing for a second"),
                ])
        }
    }
}
