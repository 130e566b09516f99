// SPDX-License-Identifier: Apache-2.0
internal import Synchronization

/// Frames on their way from the worker that received them to the one that owns their connection.
///
/// Written by one worker, read by one other; each has its own UMEM, so bytes are copied. The
/// producer's index is stored with release after the bytes, the consumer's after they were copied
/// out; each side loads the other's with acquire. Bounded: a frame that finds it full is dropped
/// and counted by the producer.
///
/// A view of memory that it does not own, so that the worker's loop follows no reference.
@safe
public struct HandoffRing: @unchecked Sendable {
    // A cache line each, as each is written by another core.
    private let produced: UnsafeMutablePointer<Atomic<UInt32>>
    private let consumed: UnsafeMutablePointer<Atomic<UInt32>>
    private let lengths: UnsafeMutablePointer<UInt32>
    private let slots: UnsafeMutableRawPointer
    private let capacity: UInt32
    private let slotByteCount: Int

    private static let lineByteCount = 64

    /// Bytes of memory that a ring takes.
    public static func byteCount(capacity: Int, slotByteCount: Int) -> Int {
        2 * lineByteCount + (capacity * 4 + 63) & ~63 + capacity * slotByteCount
    }

    /// The ring in `memory`, empty when that is zero.
    ///
    /// - Parameters:
    ///   - memory: ``byteCount(capacity:slotByteCount:)`` bytes, aligned to 64, that outlive it.
    ///   - capacity: Frames it holds, a power of two.
    ///   - slotByteCount: Longest frame, a multiple of 64.
    public init(in memory: UnsafeMutableRawPointer, capacity: Int, slotByteCount: Int) {
        precondition(capacity > 0 && capacity & (capacity - 1) == 0 && slotByteCount & 63 == 0)
        self.capacity = UInt32(capacity)
        self.slotByteCount = slotByteCount
        unsafe produced = memory.assumingMemoryBound(to: Atomic<UInt32>.self)
        unsafe consumed = (memory + Self.lineByteCount).assumingMemoryBound(
            to: Atomic<UInt32>.self)
        let rest = unsafe memory + 2 * Self.lineByteCount
        unsafe lengths = rest.assumingMemoryBound(to: UInt32.self)
        unsafe slots = rest + (capacity * 4 + 63) & ~63
    }

    /// Whether nothing is in it.
    public var isEmpty: Bool {
        unsafe produced.pointee.load(ordering: .acquiring)
            == consumed.pointee.load(ordering: .acquiring)
    }

    /// Copies a frame in; `false` when the ring is full or the frame too long.
    public func enqueue(_ frame: UnsafeRawBufferPointer) -> Bool {
        guard frame.count <= slotByteCount, let source = frame.baseAddress else { return false }
        let next = unsafe produced.pointee.load(ordering: .relaxed)
        guard unsafe next &- consumed.pointee.load(ordering: .acquiring) < capacity else {
            return false
        }
        let slot = Int(next & (capacity - 1))
        unsafe (slots + slot * slotByteCount).copyMemory(from: source, byteCount: frame.count)
        unsafe lengths[slot] = UInt32(frame.count)
        unsafe produced.pointee.store(next &+ 1, ordering: .releasing)
        return true
    }

    /// Copies the oldest frame out.
    ///
    /// - Parameter target: Room of at least a slot's bytes.
    /// - Returns: Its bytes; `nil` when the ring is empty. A frame longer than `target` is lost,
    ///   and 0 returned.
    public func dequeue(into target: UnsafeMutableRawBufferPointer) -> Int? {
        let next = unsafe consumed.pointee.load(ordering: .relaxed)
        guard unsafe next != produced.pointee.load(ordering: .acquiring) else { return nil }
        let slot = Int(next & (capacity - 1))
        var length = unsafe Int(lengths[slot])
        if length <= target.count, let destination = target.baseAddress {
            unsafe destination.copyMemory(
                from: slots + slot * slotByteCount, byteCount: length)
        } else {
            length = 0
        }
        unsafe consumed.pointee.store(next &+ 1, ordering: .releasing)
        return length
    }
}
