// SPDX-License-Identifier: Apache-2.0

/// What a worker does when nothing arrives.
public enum IdleStrategy: Sendable {
    /// Polls on.
    case spin
    /// Polls for a while, then sleeps until the kernel wakes it.
    case adaptive
    /// Sleeps at once.
    case block
}

/// How a worker runs.
public struct WorkerOptions: Sendable {
    /// Most frames of a batch: 1–64.
    public var batch = 64
    /// What it does when nothing arrives.
    public var idle = IdleStrategy.adaptive
    /// Time without a frame after which an adaptive worker sleeps, in nanoseconds.
    public var patience: UInt64 = 100_000
    /// Longest sleep in milliseconds: connections expire and waiting frames are given up between.
    public var longestSleep: Int32 = 20

    /// The defaults.
    public init() {}
}
