// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Workers

/// A ring in memory of its own.
private final class OwnedRing {
    let memory: UnsafeMutableRawPointer
    let ring: HandoffRing

    init(capacity: Int, slotByteCount: Int) {
        let byteCount = HandoffRing.byteCount(capacity: capacity, slotByteCount: slotByteCount)
        unsafe memory = .allocate(byteCount: byteCount, alignment: 64)
        unsafe memory.initializeMemory(as: UInt8.self, repeating: 0, count: byteCount)
        ring = unsafe HandoffRing(
            in: memory, capacity: capacity, slotByteCount: slotByteCount)
    }

    deinit { unsafe memory.deallocate() }

    func put(_ bytes: [UInt8]) -> Bool {
        unsafe bytes.withUnsafeBytes { unsafe ring.enqueue($0) }
    }

    func take(room: Int = 2048) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: room)
        let count = unsafe bytes.withUnsafeMutableBytes { unsafe ring.dequeue(into: $0) }
        return count.map { Array(bytes.prefix($0)) }
    }
}

@Suite struct HandoffRingTests {
    @Test func `frames come out in the order and with the bytes they went in`() {
        let owned = OwnedRing(capacity: 8, slotByteCount: 128)
        for round in 0..<100 as Range<UInt8> {
            #expect(owned.put([round, 1, 2]))
            #expect(owned.put([round]))
            #expect(owned.take() == [round, 1, 2])
            #expect(owned.take() == [round])
        }
        #expect(owned.take() == nil)
        #expect(owned.ring.isEmpty)
    }

    @Test func `a full ring takes nothing more and loses nothing`() {
        let owned = OwnedRing(capacity: 4, slotByteCount: 64)
        for value in 0..<4 as Range<UInt8> { #expect(owned.put([value])) }
        #expect(!owned.put([9]))
        for value in 0..<4 as Range<UInt8> { #expect(owned.take() == [value]) }
    }

    @Test func `a frame longer than a slot is refused`() {
        let owned = OwnedRing(capacity: 4, slotByteCount: 64)
        #expect(owned.put([UInt8](repeating: 7, count: 64)))
        #expect(!owned.put([UInt8](repeating: 7, count: 65)))
    }

    @Test func `a frame longer than the room for it is lost and does not block the next`() {
        let owned = OwnedRing(capacity: 4, slotByteCount: 64)
        #expect(owned.put([1, 2, 3]))
        #expect(owned.put([4]))
        #expect(owned.take(room: 2) == [])
        #expect(owned.take() == [4])
    }
}
