// SPDX-License-Identifier: Apache-2.0
public import DataPlane
internal import Glibc
public import XSKRing

/// A capture by the workers of a pool: owns the rings, and the memory as long as it lives.
///
/// At most one of a pool may be started at a time.
@safe
public final class WorkerCapture: Sendable {
    /// A ring for each worker, in the order of their numbers.
    public let rings: [CaptureRing]
    private let memory: [CaptureMemory]
    private let pool: WorkerPool

    /// Memory of one worker's ring.
    private final class CaptureMemory: Sendable {
        let region: MemoryRegion

        init(worker: Int, _ settings: CaptureSettings) throws(XSKError) {
            region = try MemoryRegion(
                name: "xdplb-capture-\(worker)", byteCount: CaptureRing.byteCount(settings),
                node: nil, hugePages: .never, touched: true)
        }
    }

    /// A capture that has not begun.
    ///
    /// - Throws: When the kernel has not that much memory.
    init(of pool: WorkerPool, _ settings: CaptureSettings) throws(XSKError) {
        var memory: [CaptureMemory] = []
        var rings: [CaptureRing] = []
        for worker in pool.mailboxes.indices {
            let next = try CaptureMemory(worker: worker, settings)
            guard let start = unsafe next.region.bytes.baseAddress else {
                preconditionFailure("a region has memory")
            }
            rings.append(unsafe CaptureRing(preparing: start, settings))
            memory.append(next)
        }
        self.memory = memory
        self.rings = rings
        self.pool = pool
    }

    /// What is to be added to the workers' clock, now, for nanoseconds since 1970.
    public var clockOffset: UInt64 {
        var time = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        let now = UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
        return now &- MonotonicClock().nanoseconds
    }

    /// Lets the workers copy, from their next batch on.
    public func start() {
        for (mailbox, ring) in zip(pool.mailboxes, rings) {
            mailbox.requestCapture(at: ring.address)
        }
    }

    /// Ends it, and returns when no worker copies any more; then, and not before, it may be let go.
    ///
    /// May be called again, also when the next capture of the pool has begun: that one goes on.
    public func stop() async {
        for (mailbox, ring) in zip(pool.mailboxes, rings) {
            mailbox.withdrawCapture(at: ring.address)
        }
        pool.mesh.ringAll()
        // However impatient the caller: the memory must stay until all have left.
        while zip(pool.mailboxes, rings).contains(where: { $0.usesCapture(at: $1.address) }) {
            try? await Task.sleep(for: .milliseconds(1))
        }
    }
}

extension WorkerPool {
    /// A capture that has not begun.
    ///
    /// - Throws: When the kernel has not that much memory.
    public func capture(_ settings: CaptureSettings) throws(XSKError) -> WorkerCapture {
        var settings = settings
        settings.snapLength = min(settings.snapLength, chunkSize)
        return try WorkerCapture(of: self, settings)
    }
}
