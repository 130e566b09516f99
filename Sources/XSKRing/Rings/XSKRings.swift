// SPDX-License-Identifier: Apache-2.0
internal import CXDP

/// The four rings of a queue and its free chunks: all of the queue's work but system calls.
///
/// Counts where the chunks are, each of them in exactly one of four places. libxdp or a
/// ``RingMapping`` gives the rings their memory.
@safe
struct XSKRings: ~Copyable {
    private let chunkMask: UInt64
    private let reserve: Int
    private var pool: FramePool
    var fill = FillRing()
    var completion = CompletionRing()
    var rx = RXRing()
    var tx = TXRing()

    private var inFill = 0
    private var inHand = 0
    private(set) var inTransmit = 0

    /// Rings without memory, and all chunks free, of which `reserve` are kept from the kernel.
    init(chunkCount: Int, chunkSize: Int, reserve: Int) {
        chunkMask = UInt64(chunkSize - 1)
        self.reserve = reserve
        pool = FramePool(chunkCount: chunkCount, chunkSize: chunkSize)
    }

    /// Who has the chunks.
    var chunks: ChunkCounts {
        ChunkCounts(fill: inFill, received: inHand, transmitting: inTransmit, free: pool.count)
    }

    /// ``XSKQueue/completedCount``.
    var completedCount: Int { completion.count }

    /// ``XSKQueue/receive(into:)``.
    mutating func receive(into target: UnsafeMutableBufferPointer<xdp_desc>) -> Int {
        let count = unsafe rx.receive(into: target)
        inFill &-= count
        inHand &+= count
        return count
    }

    /// ``XSKQueue/transmit(_:)``.
    mutating func transmit(_ frames: UnsafeMutableBufferPointer<xdp_desc>) -> Int {
        let count = unsafe tx.transmit(frames)
        inHand &-= count
        inTransmit &+= count
        return count
    }

    /// ``XSKQueue/recycle(_:)``.
    mutating func recycle(_ addresses: UnsafeMutableBufferPointer<UInt64>) {
        for index in 0..<addresses.count { pool.put(unsafe addresses[index] & ~chunkMask) }
        inHand &-= addresses.count
    }

    /// ``XSKQueue/recycle(address:)``.
    mutating func recycle(address: UInt64) {
        pool.put(address & ~chunkMask)
        inHand &-= 1
    }

    /// ``XSKQueue/takeFreeChunk()``.
    mutating func takeFreeChunk() -> UInt64? {
        guard let address = pool.take() else { return nil }
        inHand &+= 1
        return address
    }

    /// ``XSKQueue/reclaim()``.
    mutating func reclaim() {
        guard inTransmit > 0 else { return }
        inTransmit &-= completion.dequeue(into: &pool, chunkMask: chunkMask, upTo: inTransmit)
    }

    /// ``XSKQueue/refill()``.
    mutating func refill() {
        guard pool.count > reserve else { return }
        inFill &+= fill.enqueue(from: &pool, upTo: pool.count &- reserve)
    }
}
