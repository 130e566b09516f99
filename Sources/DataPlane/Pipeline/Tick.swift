// SPDX-License-Identifier: Apache-2.0

/// Coarse monotonic time in milliseconds.
///
/// Wraps after 49 days; a difference is right as long as it is under 24 days, which idle times
/// are, as the sweep of the connection table passes every entry within seconds.
public struct Tick: Hashable, Sendable, BitwiseCopyable {
    /// Milliseconds since an arbitrary moment, modulo 2³².
    public let milliseconds: UInt32

    /// A time of so many milliseconds.
    public init(milliseconds: UInt32) { self.milliseconds = milliseconds }

    /// Milliseconds from `earlier` to this; 0 when it lies in the future.
    @inline(__always)
    public func elapsed(since earlier: Tick) -> UInt32 {
        let difference = milliseconds &- earlier.milliseconds
        return difference < 1 << 31 ? difference : 0
    }

    /// The time so many milliseconds later.
    public func advanced(by milliseconds: UInt32) -> Tick {
        Tick(milliseconds: self.milliseconds &+ milliseconds)
    }
}
