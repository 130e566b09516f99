// SPDX-License-Identifier: Apache-2.0
internal import DataPlane
internal import Glibc

/// CLOCK_MONOTONIC, read once a round.
struct MonotonicClock {
    /// Nanoseconds since boot.
    private(set) var nanoseconds: UInt64 = 0

    init() { advance() }

    /// Reads the clock; returns the nanoseconds since it was read before.
    @inline(__always)
    @discardableResult
    mutating func advance() -> UInt64 {
        let next = Self.now()
        defer { nanoseconds = next }
        return next &- nanoseconds
    }

    /// Nanoseconds since the clock was last advanced, which it is not by this.
    func elapsed() -> UInt64 { Self.now() &- nanoseconds }

    @inline(__always)
    private static func now() -> UInt64 {
        var now = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &now)
        return UInt64(truncatingIfNeeded: now.tv_sec) &* 1_000_000_000
            &+ UInt64(truncatingIfNeeded: now.tv_nsec)
    }

    /// The time as the pipeline counts it.
    @inline(__always)
    var tick: Tick { Tick(milliseconds: UInt32(truncatingIfNeeded: nanoseconds / 1_000_000)) }
}
