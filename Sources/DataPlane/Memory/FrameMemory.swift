// SPDX-License-Identifier: Apache-2.0

/// The memory that frames lie in: a UMEM, or plain memory in tests and offline commands.
///
/// Does not own it. Every view of a frame starts here, with a check that the whole frame is inside.
@safe
public struct FrameMemory: @unchecked Sendable {
    private let base: UnsafeMutableRawPointer
    private let byteCount: UInt64
    private let chunkMask: UInt64

    /// - Precondition: `chunkSize` is a power of two; `base` is aligned to it or chunk offsets are
    ///   counted from `base`, as AF_XDP does.
    public init(base: UnsafeMutableRawPointer, byteCount: Int, chunkSize: Int) {
        precondition(chunkSize > 0 && chunkSize & (chunkSize - 1) == 0)
        unsafe self.base = base
        self.byteCount = UInt64(byteCount)
        chunkMask = UInt64(chunkSize - 1)
    }

    /// Bytes of a chunk.
    public var chunkSize: Int { Int(chunkMask) + 1 }

    /// The frame of `length` bytes at `address`; `nil` unless all of it lies in one chunk.
    @inline(__always)
    func frame(at address: UInt64, length: UInt32) -> Frame? {
        let headroom = address & chunkMask
        guard headroom &+ UInt64(length) <= chunkMask &+ 1, address < byteCount else { return nil }
        return unsafe Frame(
            start: base + Int(truncatingIfNeeded: address), length: Int(length),
            headroom: Int(truncatingIfNeeded: headroom))
    }

    /// The frame again that ``frame(at:length:)`` has accepted in this batch.
    @inline(__always)
    func acceptedFrame(at address: UInt64, length: UInt32) -> Frame {
        assert(frame(at: address, length: length) != nil)
        return unsafe Frame(
            start: base + Int(truncatingIfNeeded: address), length: Int(length),
            headroom: Int(truncatingIfNeeded: address & chunkMask))
    }

    /// Asks for the first line of a frame.
    @inline(__always)
    func prefetch(_ address: UInt64) {
        unsafe DataPlane.prefetch(base + Int(truncatingIfNeeded: address))
    }

    /// Asks for the first line of a frame, and for the one before it, where an outer header goes.
    @inline(__always)
    func prefetchForWriting(_ address: UInt64) {
        let start = unsafe base + Int(truncatingIfNeeded: address)
        unsafe DataPlane.prefetch(start)
        unsafe DataPlane.prefetch(start - 20)
    }

    /// The bytes from `address` to the end of its chunk, for copying a whole frame in or out;
    /// `nil` outside the memory.
    public func chunkBytes(from address: UInt64) -> UnsafeMutableRawBufferPointer? {
        guard address < byteCount else { return nil }
        return unsafe UnsafeMutableRawBufferPointer(
            start: base + Int(address), count: Int(chunkMask &+ 1 &- (address & chunkMask)))
    }
}
