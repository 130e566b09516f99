// SPDX-License-Identifier: Apache-2.0

/// Durations in cycles of the processor's clock, each counted exactly up to a bound.
///
/// Constant memory for any number of them; what is beyond the bound counts as the bound.
struct CycleHistogram {
    private static let bound = 1 << 18

    private var counts = [UInt32](repeating: 0, count: bound + 1)
    private(set) var total = 0

    /// Counts a duration.
    mutating func add(_ cycles: UInt64) {
        counts[Int(min(cycles, UInt64(Self.bound)))] &+= 1
        total &+= 1
    }

    /// Adds those of another.
    mutating func merge(_ other: CycleHistogram) {
        for index in counts.indices { counts[index] &+= other.counts[index] }
        total += other.total
    }

    /// The duration that a share (0–1) of all is not above; 0 when there are none.
    func quantile(_ share: Double) -> Double {
        let rank = max(1, Int((share * Double(total)).rounded(.up)))
        var seen = 0
        for (cycles, count) in counts.enumerated() {
            seen += Int(count)
            if seen >= rank { return Double(cycles) }
        }
        return 0
    }
}
