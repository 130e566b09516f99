// SPDX-License-Identifier: Apache-2.0

/// Tells when rings lose, tables fill or workers stand still: when it begins, and not each second.
struct LoadWatch {
    /// What there is to see at a moment.
    struct Sight {
        /// Losses of rings since the start.
        var ringLosses: UInt64
        /// Entries of all connection tables in use, and all there are.
        var entries: UInt64
        var capacity: UInt64
        /// Whether every worker has done a round within the last second.
        var areWorkersAlive: Bool
    }

    /// Something to be told.
    struct Finding: Equatable {
        var kind: EventKind
        var level: EventLevel
        var what: String
    }

    /// Share of entries from which on tables are nearly full, and below which no longer: the alert's.
    private static let full = 0.9
    private static let roomy = 0.8
    /// Looks without a loss after which the next one is told anew.
    private static let calm = 60

    private var losses: UInt64?
    private var looksSinceLoss = calm
    private var isNearlyFull = false
    private var wereAlive = true

    /// What is new since the last look.
    mutating func look(_ sight: Sight) -> [Finding] {
        var findings: [Finding] = []
        let lost = sight.ringLosses - min(losses ?? sight.ringLosses, sight.ringLosses)
        losses = sight.ringLosses
        if lost > 0, looksSinceLoss >= Self.calm {
            findings.append(
                Finding(
                    kind: .ringLoss, level: .warning,
                    what: "\(lost) frames lost in rings within a second; 'xdplb drops' says where"))
        }
        looksSinceLoss = lost > 0 ? 0 : min(looksSinceLoss + 1, Self.calm)
        let share = Double(sight.entries) / Double(max(sight.capacity, 1))
        if share >= Self.full, !isNearlyFull {
            findings.append(
                Finding(
                    kind: .tablePressure, level: .warning,
                    what: "\(sight.entries) of \(sight.capacity) entries are in use"))
        }
        isNearlyFull = share >= (isNearlyFull ? Self.roomy : Self.full)
        if !sight.areWorkersAlive, wereAlive {
            findings.append(
                Finding(
                    kind: .workerStuck, level: .error,
                    what: "a worker has done nothing for a second"))
        }
        wereAlive = sight.areWorkersAlive
        return findings
    }
}
