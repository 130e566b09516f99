// SPDX-License-Identifier: Apache-2.0
internal import CXDP

/// The ring through which the kernel hands over received frames.
///
/// The kernel produces, we consume. See "RX Ring" in Documentation/networking/af_xdp.rst.
@safe
struct RXRing: ~Copyable {
    let storage = ConsumerStorage()

    /// Copies descriptors of received frames out; their chunks are ours from then on.
    ///
    /// - Returns: Descriptors copied, at most `target.count`.
    mutating func receive(into target: UnsafeMutableBufferPointer<xdp_desc>) -> Int {
        let ring = unsafe storage.ring
        var first: UInt32 = 0
        let count = unsafe xsk_ring_cons__peek(ring, UInt32(target.count), &first)
        guard count > 0, let base = target.baseAddress else { return 0 }
        for offset in 0..<count {
            unsafe base[Int(offset)] = xsk_ring_cons__rx_desc(ring, first &+ offset).pointee
        }
        unsafe xsk_ring_cons__release(ring, count)
        return Int(count)
    }

    /// Whether a frame can be received.
    var hasFrames: Bool {
        var first: UInt32 = 0
        let count = unsafe xsk_ring_cons__peek(storage.ring, 1, &first)
        unsafe xsk_ring_cons__cancel(storage.ring, count)
        return count > 0
    }
}
