// SPDX-License-Identifier: Apache-2.0
package import DataPlane

/// A worker's part in captures: which one it copies for, if any.
package struct WorkerTap {
    private var tap: CaptureTap?
    /// Where the ring of the capture lies; 0 while there is none.
    private var address: UInt = 0

    /// A part in none.
    package init() {}

    /// Whether a capture runs, begins or ends: one load and a test in each round.
    @inline(__always)
    package func isConcerned(by mailbox: WorkerMailbox) -> Bool {
        mailbox.captureAddress | address != 0
    }

    /// Takes note of a capture that begins or ends, and copies a batch aside for the one that is.
    ///
    /// - Returns: Whether the batch is captured.
    @inline(never)
    package mutating func begin(
        _ batch: borrowing Batch, in memory: FrameMemory, _ mailbox: WorkerMailbox
    ) -> Bool {
        if mailbox.captureAddress != address {
            address = mailbox.adoptCapture()
            let memory = unsafe UnsafeMutableRawPointer(bitPattern: address)
            tap = unsafe memory.map { unsafe CaptureTap(CaptureRing(at: $0)) }
        }
        guard let tap, batch.count > 0 else { return false }
        tap.keep(batch, in: memory)
        return true
    }

    /// Captures a batch that ``begin(_:in:_:)`` took, once it was sent and before its chunks are
    /// received into again.
    @inline(never)
    package func write(
        _ batch: borrowing Batch, in memory: FrameMemory, sent: Int, lostHandOffs: UInt64,
        receivedAt: UInt64
    ) {
        // One more look at the clock, which nobody pays for without a capture.
        let now = MonotonicClock()
        tap?.write(
            batch, in: memory,
            CaptureTap.Round(
                sentCount: sent, lostHandOffs: lostHandOffs, receivedAt: receivedAt,
                sentAt: now.nanoseconds))
    }
}
