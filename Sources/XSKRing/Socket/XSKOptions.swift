// SPDX-License-Identifier: Apache-2.0

/// How the sockets of an interface are made.
public struct XSKOptions: Sendable {
    /// Whether frames are copied between the driver and the UMEM.
    public enum BindMode: String, Sendable {
        /// Zero-copy, or fail.
        case zerocopy
        /// Copy mode.
        case copy
        /// Zero-copy where the driver has it, else copy mode.
        case automatic
    }

    /// Whether frames are copied.
    public var bindMode = BindMode.automatic
    /// How the steering program is attached: behind a generic one there is no zero-copy, although
    /// a bind claims it.
    public var attachMode = AttachMode.native
    /// Descriptors of each ring, powers of two.
    public var rxRing = 4096
    /// Descriptors of the TX ring.
    public var txRing = 4096
    /// Descriptors of the fill ring.
    public var fillRing = 8192
    /// Descriptors of the completion ring.
    public var completionRing = 4096
    /// Bytes of a chunk, a power of two.
    public var chunkSize = 4096
    /// Chunks of a queue's UMEM.
    public var chunkCount = 16384
    /// Frames that one system call sends in copy mode, at least a batch.
    public var transmitBudget = 128
    /// Whether the UMEM is on huge pages.
    public var hugePages = HugePages.automatic
    /// Packets that one of our system calls has the kernel take from the NIC.
    ///
    /// Interrupts are put off meanwhile; `nil` leaves it to them. See "Busy polling" in
    /// Documentation/networking/napi.rst.
    public var busyPollBudget: Int?
    /// Microseconds that such a call polls for at most, when there is less to take than the budget
    /// (SO_BUSY_POLL, socket(7)).
    public var busyPollTime = 20

    /// The defaults.
    public init() {}

    /// What is wrong with the sizes; `nil` when nothing is.
    var problem: String? {
        let rings = [
            "RX ring": rxRing, "TX ring": txRing, "fill ring": fillRing,
            "completion ring": completionRing,
        ]
        for (name, size) in rings.sorted(by: { $0.key < $1.key })
        where size < 1 || size > 1 << 20 || size & (size - 1) != 0 {
            return "its \(name) has \(size) descriptors, which is not a power of two up to 1048576"
        }
        guard [2048, 4096].contains(chunkSize) else {
            return "its chunks have \(chunkSize) bytes; 4096 is right, and 2048 possible"
        }
        guard chunkCount > 0 else { return "it has no chunks" }
        return nil
    }
}

/// What the kernel counts for a socket since it was bound (XDP_STATISTICS).
public struct XSKStatistics: Equatable, Sendable {
    /// Frames dropped for other reasons than a full ring.
    public var rxDropped: UInt64 = 0
    /// Frames dropped because the RX ring was full.
    public var rxRingFull: UInt64 = 0
    /// Descriptors of the fill ring that were invalid.
    public var rxInvalid: UInt64 = 0
    /// Descriptors of the TX ring that were invalid.
    public var txInvalid: UInt64 = 0
    /// Times the fill ring was empty.
    public var fillRingEmpty: UInt64 = 0
    /// Times the TX ring was empty.
    public var txRingEmpty: UInt64 = 0
}

/// Who has the chunks of a UMEM.
public struct ChunkCounts: Equatable, Sendable {
    /// The fill ring, and the driver behind it.
    public var fill = 0
    /// We: received and not yet sent or given back.
    public var received = 0
    /// The TX ring, the driver, and the completion ring.
    public var transmitting = 0
    /// Nobody.
    public var free = 0

    /// All of them: constant.
    public var total: Int { fill + received + transmitting + free }
}
