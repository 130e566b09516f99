// SPDX-License-Identifier: Apache-2.0

/// Which frames a capture is about, in numbers that a worker compares.
///
/// A field that is `nil` matches all.
public struct CaptureFilter: Hashable, Sendable, BitwiseCopyable {
    /// Where a frame is seen.
    public struct Points: OptionSet, Hashable, Sendable, BitwiseCopyable {
        /// The bit mask.
        public let rawValue: UInt8

        /// The points of a bit mask.
        public init(rawValue: UInt8) { self.rawValue = rawValue }

        /// As it was received, whatever became of it.
        public static let received = Points(rawValue: 1)
        /// As it was sent.
        public static let sent = Points(rawValue: 2)
        /// As it was received, if it was dropped.
        public static let dropped = Points(rawValue: 4)
        /// Everywhere.
        public static let all: Points = [.received, .sent, .dropped]
    }

    /// Number of the service.
    public var service: UInt16?
    /// Number of the backend.
    public var backend: UInt16?
    /// Address of the client: frames from it, and frames that were sent to it.
    public var client: IPAddress?
    /// Why the frame was dropped, or answered in the place of being forwarded.
    public var reason: DropReason?
    /// Only TCP segments with SYN.
    public var isOnlySYN = false
    /// One in so many of the frames that match is taken, at least 1.
    public var sampling: UInt32 = 1
    /// Which copies of a frame are taken.
    public var points = Points.all

    /// Matches all frames.
    public init() {}

    /// Whether a frame is one of those that are meant, but for its client and the sampling.
    @inline(__always)
    func admits(_ record: CaptureRecord, _ packet: PacketState) -> Bool {
        if let service, record.service != service { return false }
        if let backend, record.backend != backend { return false }
        if let reason, record.reason != reason { return false }
        return !isOnlySYN || packet.layout.tcpFlags.contains(.syn)
    }
}

/// How a capture is taken.
public struct CaptureSettings: Hashable, Sendable, BitwiseCopyable {
    /// What is captured.
    public var filter = CaptureFilter()
    /// Most bytes of each copy.
    public var snapLength: Int
    /// Bytes of a worker's ring, a power of two of at least four records.
    public var capacity: Int

    /// Settings of their parts.
    public init(filter: CaptureFilter = .init(), snapLength: Int, capacity: Int = 8 << 20) {
        precondition(capacity & (capacity - 1) == 0 && snapLength > 0)
        precondition(capacity >= 4 * CaptureRing.longestRecord(snapLength: snapLength))
        self.filter = filter
        self.snapLength = snapLength
        self.capacity = capacity
    }
}
