// SPDX-License-Identifier: Apache-2.0
internal import DataPlane

/// Chooses one transmitted packet in 1024 to be timed: a clock read for each would show.
struct PacketTimer {
    private static let interval = 1024
    /// Packets until the next one that is timed.
    private var left = interval

    /// Whether the next one to be timed is among `sent` packets.
    @inline(__always)
    mutating func isDue(after sent: Int) -> Bool {
        left &-= sent
        guard left <= 0 else { return false }
        left &+= Self.interval
        return true
    }

    /// The counter for a packet that took so long.
    static func bucket(of nanoseconds: UInt64) -> Counter {
        switch nanoseconds {
        case ...1000: .timedUpTo1
        case ...2000: .timedUpTo2
        case ...5000: .timedUpTo5
        case ...10_000: .timedUpTo10
        case ...50_000: .timedUpTo50
        case ...100_000: .timedUpTo100
        case ...1_000_000: .timedUpTo1000
        default: .timedBeyond
        }
    }
}
