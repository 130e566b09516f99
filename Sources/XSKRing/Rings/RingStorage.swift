// SPDX-License-Identifier: Apache-2.0
internal import CXDP

/// Owner of a ring's struct, on the heap and zeroed.
///
/// libxdp keeps the address until the socket is deleted, so it must not move, and sets every
/// field but the cached indices, so it must start at zero: with garbage in them the fill ring is
/// overfilled, a chunk gets two owners, and simple forwarding still looks right.
@safe
struct ProducerStorage: ~Copyable {
    let ring: UnsafeMutablePointer<xsk_ring_prod>

    init() {
        unsafe ring = .allocate(capacity: 1)
        unsafe ring.initialize(to: xsk_ring_prod())
    }

    deinit { unsafe ring.deallocate() }

    /// How far the kernel has come, without touching the copy that `xsk.h` caches: a count that
    /// may be old by the time it is used.
    var consumerIndex: UInt32 { unsafe xdplb_load_index(ring.pointee.consumer) }
}

/// ``ProducerStorage`` for the two rings that the kernel produces.
@safe
struct ConsumerStorage: ~Copyable {
    let ring: UnsafeMutablePointer<xsk_ring_cons>

    init() {
        unsafe ring = .allocate(capacity: 1)
        unsafe ring.initialize(to: xsk_ring_cons())
    }

    deinit { unsafe ring.deallocate() }
}

/// A ring's shared part over given memory: what libxdp makes from the kernel's mapping, for tests
/// over plain memory, and for a ring inherited from another process.
@safe
struct RingMapping {
    /// Shared indices and flags, each in host byte order.
    let producer: UnsafeMutablePointer<UInt32>
    let consumer: UnsafeMutablePointer<UInt32>
    let flags: UnsafeMutablePointer<UInt32>
    /// `size` elements.
    let elements: UnsafeMutableRawPointer
    /// A power of two.
    let size: UInt32

    /// Points a producer's struct at this ring, at the indices it has.
    func bind(_ storage: borrowing ProducerStorage) {
        unsafe storage.ring.pointee.producer = producer
        unsafe storage.ring.pointee.consumer = consumer
        unsafe storage.ring.pointee.flags = flags
        unsafe storage.ring.pointee.ring = elements
        unsafe storage.ring.pointee.size = size
        unsafe storage.ring.pointee.mask = size - 1
        unsafe storage.ring.pointee.cached_prod = producer.pointee
        // One ring ahead, as libxdp keeps it: free = cached_cons - cached_prod.
        unsafe storage.ring.pointee.cached_cons = consumer.pointee &+ size
    }

    /// Points a consumer's struct at this ring, at the indices it has.
    func bind(_ storage: borrowing ConsumerStorage) {
        unsafe storage.ring.pointee.producer = producer
        unsafe storage.ring.pointee.consumer = consumer
        unsafe storage.ring.pointee.flags = flags
        unsafe storage.ring.pointee.ring = elements
        unsafe storage.ring.pointee.size = size
        unsafe storage.ring.pointee.mask = size - 1
        unsafe storage.ring.pointee.cached_prod = producer.pointee
        unsafe storage.ring.pointee.cached_cons = consumer.pointee
    }
}
