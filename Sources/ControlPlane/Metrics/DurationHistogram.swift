// SPDX-License-Identifier: Apache-2.0

/// How many times something took how long, by upper bound.
public struct DurationHistogram: Equatable, Sendable {
    /// Upper bounds in seconds, rising; one count more has what is over the last.
    let bounds: [Double]
    private var counts: [UInt64]
    /// Seconds of all together.
    private(set) var sum = 0.0

    /// Nothing yet.
    init(_ bounds: [Double]) {
        self.init(bounds: bounds, counts: Array(repeating: 0, count: bounds.count + 1), sum: 0)
    }

    /// What was counted elsewhere.
    ///
    /// - Precondition: `counts.count == bounds.count + 1`.
    init(bounds: [Double], counts: [UInt64], sum: Double) {
        precondition(counts.count == bounds.count + 1)
        self.bounds = bounds
        self.counts = counts
        self.sum = sum
    }

    /// Counts one more.
    mutating func add(_ duration: Duration) {
        let seconds = duration.seconds
        counts[bounds.firstIndex { seconds <= $0 } ?? bounds.count] += 1
        sum += seconds
    }

    /// All of them.
    var count: UInt64 { counts.reduce(0, +) }

    /// Those up to each bound.
    var cumulativeCounts: [UInt64] {
        var total: UInt64 = 0
        return counts.dropLast().map { count in
            total += count
            return total
        }
    }
}
