// SPDX-License-Identifier: Apache-2.0

/// A bound on the new connections of each source, so that one cannot fill the table alone.
///
/// One bucket of tokens for each source that was seen lately, in a table of fixed size. Sources
/// that meet in one place take turns in it; a place is taken over when its bucket is full again,
/// so a newcomer is never charged for another's flood.
struct SourceLimiter: ~Copyable {
    private static let capacity = 16_384

    struct Slot: BitwiseCopyable {
        var source: IPAddress
        /// Thousandths of a connection.
        var tokens: UInt64
        var latest: UInt32
    }

    private let slots: OwnedTable<Slot>

    init() {
        slots = OwnedTable(
            repeating: Slot(source: FiveTuple.zero.source, tokens: 0, latest: 0),
            count: Self.capacity)
    }

    /// Whether `source` may begin another connection.
    ///
    /// - Parameters:
    ///   - source: The client's address.
    ///   - hash: Its keyed hash.
    ///   - rate: Connections a second, and at once.
    ///   - tick: The time.
    /// - Returns: `false` when it has none left.
    mutating func admit(_ source: IPAddress, _ hash: UInt64, rate: UInt32, at tick: Tick) -> Bool {
        let full = UInt64(rate) &* 1000
        let first = Int(truncatingIfNeeded: hash) & (Self.capacity - 1)
        let second = Int(truncatingIfNeeded: hash >> 32) & (Self.capacity - 1)
        var chosen = first
        if slots.table[first].source != source {
            let isVacant = refilled(first, full, rate, tick) == full
            if slots.table[second].source == source || !isVacant { chosen = second }
        }
        var tokens = refilled(chosen, full, rate, tick)
        if slots.table[chosen].source != source {
            // Both places are in use by others: not this source's fault.
            guard tokens == full || slots.table[chosen].latest == 0 else { return true }
            tokens = full
        }
        let isAdmitted = tokens >= 1000
        slots.table[chosen] = Slot(
            source: source, tokens: isAdmitted ? tokens &- 1000 : tokens,
            latest: tick.milliseconds)
        return isAdmitted
    }

    private func refilled(_ index: Int, _ full: UInt64, _ rate: UInt32, _ tick: Tick) -> UInt64 {
        let slot = slots.table[index]
        let elapsed = tick.elapsed(since: Tick(milliseconds: slot.latest))
        return min(slot.tokens &+ UInt64(elapsed) &* UInt64(rate), full)
    }
}
