// SPDX-License-Identifier: Apache-2.0

/// What became of a captured frame, beside the bytes of its copies.
public struct CaptureRecord: Hashable, Sendable, BitwiseCopyable {
    /// How it ended.
    public enum Outcome: UInt8, Sendable, BitwiseCopyable {
        /// It was sent on; without a backend, the load balancer's own answer was sent.
        case sent
        /// It was discarded.
        case dropped
        /// It was discarded, and its sender was told.
        case refused
        /// It waits for its next hop to be resolved.
        case waiting
    }

    /// Whether its connection was known.
    public enum Lookup: UInt8, Sendable, BitwiseCopyable {
        /// Nothing was looked up.
        case none
        /// There was an entry.
        case hit
        /// There was none.
        case miss
    }

    /// Number of the frame among those that its worker captured.
    public var number: UInt64
    /// When its batch was received, on the monotonic clock in nanoseconds.
    public var receivedAt: UInt64
    /// When its batch had been sent, on the same clock.
    public var sentAt: UInt64
    /// Bytes of the frame as it was received; its copy may have fewer.
    public var receivedLength: UInt32
    /// Bytes of the frame as it was sent; 0 when there is no such copy.
    public var sentLength: UInt32
    /// Number of its service, once it was known.
    public var service: UInt16?
    /// Number of its backend, once it was known.
    public var backend: UInt16?
    /// Why it was dropped or refused.
    public var reason: DropReason?
    /// How it ended.
    public var outcome: Outcome
    /// Whether its connection was known.
    public var lookup: Lookup
    /// Whether another worker had received it.
    public var isHandedOver: Bool
}

/// A captured frame: what became of it, and its copies.
public struct CapturedPair: Hashable, Sendable {
    /// What became of it.
    public var record: CaptureRecord
    /// As it was received; empty when this copy was not asked for.
    public var received: [UInt8]
    /// As it was sent; empty when it was not, or this copy was not asked for.
    public var sent: [UInt8]
}
