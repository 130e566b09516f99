// SPDX-License-Identifier: Apache-2.0
internal import CXDP

/// The ring through which the kernel gives back chunks whose frames were sent.
///
/// The kernel produces, we consume. See "UMEM Completion Ring" in
/// Documentation/networking/af_xdp.rst.
@safe
struct CompletionRing: ~Copyable {
    let storage = ConsumerStorage()

    /// Chunks of sent frames that are in the ring.
    var count: Int {
        let ring = unsafe storage.ring
        return Int(unsafe xdplb_load_index(ring.pointee.producer) &- ring.pointee.cached_cons)
    }

    /// Moves the chunks of sent frames to `pool`.
    ///
    /// - Parameters:
    ///   - pool: Where they go.
    ///   - chunkMask: Bits of an address that are inside a chunk: a frame starts anywhere in its.
    ///   - limit: Most chunks to move.
    /// - Returns: Chunks moved, also 0.
    mutating func dequeue(into pool: inout FramePool, chunkMask: UInt64, upTo limit: Int) -> Int {
        let ring = unsafe storage.ring
        var first: UInt32 = 0
        let count = unsafe xsk_ring_cons__peek(ring, UInt32(limit), &first)
        guard count > 0 else { return 0 }
        for offset in 0..<count {
            let address = unsafe xsk_ring_cons__comp_addr(ring, first &+ offset).pointee
            pool.put(address & ~chunkMask)
        }
        unsafe xsk_ring_cons__release(ring, count)
        return Int(count)
    }
}
