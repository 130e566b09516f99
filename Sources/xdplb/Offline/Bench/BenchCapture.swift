// SPDX-License-Identifier: Apache-2.0
internal import DataPlane
internal import Workers
internal import XSKRing

/// A worker's part in captures, as in the loop of the daemon's workers.
struct BenchCapture: ~Copyable {
    /// Whether a worker looks at all.
    private let looks: Bool
    private let region: MemoryRegion?
    private let ring: CaptureRing?
    private let mailbox = WorkerMailbox()
    private var tap = WorkerTap()
    private var isCaptured = false

    /// Copies of frames as long as those that are measured.
    private static let settings = CaptureSettings(snapLength: 256)

    /// A capture that runs, or that does not.
    ///
    /// - Throws: When the kernel gives no memory.
    init(_ kind: BenchWorkload.Capture) throws(XSKError) {
        looks = kind != .none
        guard kind == .on else {
            region = nil
            ring = nil
            return
        }
        let region = try MemoryRegion(
            name: "xdplb-bench-capture", byteCount: CaptureRing.byteCount(Self.settings),
            node: nil, hugePages: .never, touched: true)
        guard let start = unsafe region.bytes.baseAddress else {
            preconditionFailure("a region has memory")
        }
        let ring = unsafe CaptureRing(preparing: start, Self.settings)
        mailbox.requestCapture(at: ring.address)
        self.region = consume region
        self.ring = ring
    }

    /// What a worker does before the pipeline.
    @inline(__always)
    mutating func begin(_ batch: borrowing Batch, in memory: FrameMemory) {
        guard looks else { return }
        isCaptured = false
        if tap.isConcerned(by: mailbox) { isCaptured = tap.begin(batch, in: memory, mailbox) }
    }

    /// What a worker does once the batch was sent.
    @inline(__always)
    func end(_ batch: borrowing Batch, in memory: FrameMemory, sent: Int) {
        guard isCaptured else { return }
        tap.write(batch, in: memory, sent: sent, lostHandOffs: 0, receivedAt: 0)
    }

    /// What the control side does, which is not measured.
    func drain() {
        guard let ring else { return }
        while ring.next() != nil {}
    }
}
