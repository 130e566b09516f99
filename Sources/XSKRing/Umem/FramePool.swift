// SPDX-License-Identifier: Apache-2.0

/// The free chunks of a UMEM, by address.
///
/// Last in, first out, so that a chunk that is still in the cache is used again first. The
/// capacity is the number of chunks there are, so that it can never overflow unless a chunk is
/// given back twice, which traps. A debug build checks every chunk: free ones are marked.
@safe
struct FramePool: ~Copyable {
    private let addresses: UnsafeMutablePointer<UInt64>
    private let capacity: Int
    private(set) var count = 0
    #if DEBUG
        private let chunkSize: Int
        private let isFree: UnsafeMutablePointer<Bool>
    #endif

    /// A pool of all chunks of a UMEM, which lie one after the other from address 0.
    init(chunkCount: Int, chunkSize: Int) {
        capacity = chunkCount
        unsafe addresses = .allocate(capacity: chunkCount)
        for index in 0..<chunkCount {
            // Lowest on top.
            unsafe (addresses + index).initialize(
                to: UInt64(chunkCount - 1 - index) * UInt64(chunkSize))
        }
        count = chunkCount
        #if DEBUG
            self.chunkSize = chunkSize
            unsafe isFree = .allocate(capacity: chunkCount)
            unsafe isFree.initialize(repeating: true, count: chunkCount)
        #endif
    }

    deinit {
        unsafe addresses.deallocate()
        #if DEBUG
            unsafe isFree.deallocate()
        #endif
    }

    /// Gives a chunk back.
    @inline(__always)
    mutating func put(_ address: UInt64) {
        precondition(count < capacity, "a chunk was given back twice")
        mark(address, free: true)
        unsafe addresses[count] = address
        count &+= 1
    }

    /// Takes a chunk; `nil` when there is none.
    @inline(__always)
    mutating func take() -> UInt64? {
        guard count > 0 else { return nil }
        count &-= 1
        mark(unsafe addresses[count], free: false)
        return unsafe addresses[count]
    }

    /// Traps in a debug build when a chunk has two owners, or is none.
    @inline(__always)
    private func mark(_ address: UInt64, free: Bool) {
        #if DEBUG
            let chunk = Int(address) / chunkSize
            precondition(
                chunk < capacity && Int(address) % chunkSize == 0, "\(address) is no chunk")
            precondition(unsafe isFree[chunk] != free, "chunk \(address) has two owners")
            unsafe isFree[chunk] = free
        #endif
    }
}
