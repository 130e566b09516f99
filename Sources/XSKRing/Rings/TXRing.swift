// SPDX-License-Identifier: Apache-2.0
internal import CXDP

/// The ring that hands frames to the kernel to send.
///
/// We produce, the kernel consumes. A chunk is the kernel's from the index store in
/// ``transmit(_:)`` until the completion ring returns it. See "TX Ring" in
/// Documentation/networking/af_xdp.rst.
@safe
struct TXRing: ~Copyable {
    let storage = ProducerStorage()

    /// Hands the first frames of `frames` over, as many as there is room for.
    ///
    /// - Returns: Frames taken. Waking the kernel is the caller's decision.
    mutating func transmit(_ frames: UnsafeMutableBufferPointer<xdp_desc>) -> Int {
        let ring = unsafe storage.ring
        let wanted = UInt32(frames.count)
        let count = unsafe min(xsk_prod_nb_free(ring, wanted), wanted)
        var first: UInt32 = 0
        guard count > 0, let base = frames.baseAddress,
            unsafe xsk_ring_prod__reserve(ring, count, &first) == count
        else { return 0 }
        for offset in 0..<count {
            unsafe xsk_ring_prod__tx_desc(ring, first &+ offset).pointee = base[Int(offset)]
        }
        unsafe xsk_ring_prod__submit(ring, count)
        return Int(count)
    }

    /// Frames handed over that the kernel has not taken yet.
    var pendingCount: Int {
        Int(unsafe storage.ring.pointee.producer.pointee &- storage.consumerIndex)
    }

    /// Whether the kernel asks to be woken to send.
    var needsWakeup: Bool { unsafe xsk_ring_prod__needs_wakeup(storage.ring) != 0 }
}
