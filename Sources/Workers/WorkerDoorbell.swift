// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Synchronization

/// Wakes a worker that sleeps in the kernel.
///
/// Rung by any thread, heard by one worker. The worker says that it is about to sleep and then
/// looks once more for work, the others make work known and then look whether it sleeps, both
/// with sequential consistency: so one of the two sees the other, and no ring is missed.
///
/// A view of memory that it does not own, so that the worker's loop follows no reference.
@safe
public struct WorkerDoorbell: @unchecked Sendable {
    /// Bytes of memory that a doorbell takes: a cache line.
    public static let byteCount = 64

    /// An eventfd, to be polled along with the socket.
    public let fileDescriptor: Int32
    private let isSleeping: UnsafeMutablePointer<Atomic<Bool>>

    /// A doorbell in zeroed memory of ``byteCount`` bytes that outlives it.
    public init(in memory: UnsafeMutableRawPointer, fileDescriptor: Int32) {
        unsafe isSleeping = memory.assumingMemoryBound(to: Atomic<Bool>.self)
        self.fileDescriptor = fileDescriptor
    }

    /// Wakes the worker if it sleeps.
    ///
    /// To be called after the work was made known.
    @inline(__always)
    public func ring() {
        atomicMemoryFence(ordering: .sequentiallyConsistent)
        if unsafe isSleeping.pointee.load(ordering: .relaxed) { ringAlways() }
    }

    private func ringAlways() {
        var one: UInt64 = 1
        _ = unsafe write(fileDescriptor, &one, 8)
    }

    /// Says that the worker is about to sleep; it must look for work once more after this.
    func prepareToSleep() {
        unsafe isSleeping.pointee.store(true, ordering: .sequentiallyConsistent)
    }

    /// Says that the worker is awake.
    func wakeUp(rang: Bool) {
        unsafe isSleeping.pointee.store(false, ordering: .relaxed)
        guard rang else { return }
        var count: UInt64 = 0
        _ = unsafe read(fileDescriptor, &count, 8)
    }
}
