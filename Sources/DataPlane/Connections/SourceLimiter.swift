// SPDX-License-Identifier: Apache-2.0

/// A bound on what each source may do in a second: begin connections, or be wrong.
///
/// One bucket of tokens for each source that was seen lately, in a table of fixed size. A source
/// has one of two places; a place is taken over when its bucket is full again, so a newcomer is
/// never charged for another's flood. A source that finds both places in use is not bounded.
struct SourceLimiter: ~Copyable {
    struct Slot: BitwiseCopyable {
        var source: IPAddress
        /// Thousandths of a token.
        var tokens: UInt64
        var latest: UInt32
    }

    private let slots: OwnedTable<Slot>

    /// A table of a power of two places.
    init(capacity: Int) {
        slots = OwnedTable(
            repeating: Slot(source: FiveTuple.zero.source, tokens: 0, latest: 0), count: capacity)
    }

    /// Takes a token of a source; `false` when it has none left.
    ///
    /// - Parameters:
    ///   - source: Its address.
    ///   - hash: A keyed hash of the address.
    ///   - rate: Tokens a second, and at most at once.
    ///   - tick: The time.
    /// - Returns: Whether there was one.
    mutating func take(_ source: IPAddress, _ hash: UInt64, rate: UInt32, at tick: Tick) -> Bool {
        guard let place = place(of: source, hash, rate, tick) else { return true }
        let tokens = tokens(of: source, at: place, rate, tick)
        slots.masked[place] = Slot(
            source: source, tokens: tokens >= 1000 ? tokens &- 1000 : tokens,
            latest: tick.milliseconds)
        return tokens >= 1000
    }

    /// Whether a source has a token; none is taken.
    func has(_ source: IPAddress, _ hash: UInt64, rate: UInt32, at tick: Tick) -> Bool {
        guard let place = place(of: source, hash, rate, tick) else { return true }
        return tokens(of: source, at: place, rate, tick) >= 1000
    }

    /// Where a source is, or may be; `nil` when both places are in use.
    private func place(
        of source: IPAddress, _ hash: UInt64, _ rate: UInt32, _ tick: Tick
    ) -> Int? {
        let table = slots.masked
        let first = Int(truncatingIfNeeded: hash)
        let second = Int(truncatingIfNeeded: hash >> 32)
        if table[first].source == source { return first }
        if table[second].source == source { return second }
        if isVacant(first, rate, tick) { return first }
        return isVacant(second, rate, tick) ? second : nil
    }

    private func isVacant(_ place: Int, _ rate: UInt32, _ tick: Tick) -> Bool {
        let slot = slots.masked[place]
        return slot.source == FiveTuple.zero.source
            || refilled(slot, rate, tick) == UInt64(rate) &* 1000
    }

    /// The tokens of a source at its place: all of them when it is new there.
    private func tokens(
        of source: IPAddress, at place: Int, _ rate: UInt32, _ tick: Tick
    ) -> UInt64 {
        let slot = slots.masked[place]
        return slot.source == source ? refilled(slot, rate, tick) : UInt64(rate) &* 1000
    }

    private func refilled(_ slot: Slot, _ rate: UInt32, _ tick: Tick) -> UInt64 {
        let elapsed = tick.elapsed(since: Tick(milliseconds: slot.latest))
        return min(slot.tokens &+ UInt64(elapsed) &* UInt64(rate), UInt64(rate) &* 1000)
    }
}
