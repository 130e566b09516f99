// SPDX-License-Identifier: Apache-2.0
internal import CXDP

/// The ring that hands empty chunks to the kernel to receive into.
///
/// We produce, the kernel consumes. A chunk is the kernel's from the index store in
/// ``enqueue(from:upTo:)`` until the RX ring returns its address. See "UMEM Fill Ring" in
/// Documentation/networking/af_xdp.rst.
@safe
struct FillRing: ~Copyable {
    let storage = ProducerStorage()

    /// Moves free chunks from `pool` to the kernel.
    ///
    /// - Parameters:
    ///   - pool: Where chunks come from; keeps what the ring has no room for.
    ///   - limit: Most chunks to move.
    /// - Returns: Chunks moved, also 0. Waking the kernel is the caller's decision.
    mutating func enqueue(from pool: inout FramePool, upTo limit: Int) -> Int {
        let ring = unsafe storage.ring
        let wanted = UInt32(min(limit, pool.count))
        // `reserve` is all or nothing: ask how much there is room for first.
        let room = unsafe xsk_prod_nb_free(ring, wanted)
        let count = min(room, wanted)
        var first: UInt32 = 0
        guard count > 0, unsafe xsk_ring_prod__reserve(ring, count, &first) == count else {
            return 0
        }
        for offset in 0..<count {
            guard let address = pool.take() else { preconditionFailure("counted before") }
            unsafe xsk_ring_prod__fill_addr(ring, first &+ offset).pointee = address
        }
        unsafe xsk_ring_prod__submit(ring, count)
        return Int(count)
    }

    /// Whether the kernel asks to be woken to take chunks.
    var needsWakeup: Bool { unsafe xsk_ring_prod__needs_wakeup(storage.ring) != 0 }
}
