// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import XSKRing

@Suite struct FramePoolTests {
    @Test func `a new pool has every chunk once, the lowest first`() {
        var pool = FramePool(chunkCount: 8, chunkSize: 2048)
        #expect(pool.count == 8)
        var taken: [UInt64] = []
        while let address = pool.take() { taken.append(address) }
        #expect(taken == (0..<8).map { $0 * 2048 })
        #expect(pool.count == 0)
        #expect(pool.take() == nil)
    }

    @Test func `the chunk that was given back last is taken first`() {
        var pool = FramePool(chunkCount: 4, chunkSize: 4096)
        let first = pool.take()
        let second = pool.take()
        if let first { pool.put(first) }
        if let second { pool.put(second) }
        #expect(pool.take() == second)
        #expect(pool.take() == first)
    }

    @Test func `no chunk is lost or doubled over many random rounds`() {
        var generator = SystemRandomNumberGenerator()
        var pool = FramePool(chunkCount: 64, chunkSize: 4096)
        var held: [UInt64] = []
        for _ in 0..<10_000 {
            if Bool.random(using: &generator), let address = pool.take() {
                held.append(address)
            } else if !held.isEmpty {
                pool.put(held.remove(at: Int.random(in: 0..<held.count, using: &generator)))
            }
            #expect(pool.count + held.count == 64)
        }
        while let address = pool.take() { held.append(address) }
        #expect(Set(held) == Set((0..<64).map { $0 * 4096 }))
    }
}
