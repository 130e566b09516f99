// SPDX-License-Identifier: Apache-2.0
import CXDP
import Testing

@testable import XSKRing

/// A ring's shared part in plain memory, and what the kernel does to it.
final class PlainRing {
    let mapping: RingMapping
    private let size: UInt32

    /// An empty ring of `size` elements of `stride` bytes whose indices stand at `start`.
    init(size: UInt32, stride: Int, startingAt start: UInt32) {
        self.size = size
        func word(_ value: UInt32) -> UnsafeMutablePointer<UInt32> {
            let pointer = UnsafeMutablePointer<UInt32>.allocate(capacity: 1)
            unsafe pointer.initialize(to: value)
            return unsafe pointer
        }
        mapping = unsafe RingMapping(
            producer: word(start), consumer: word(start), flags: word(0),
            elements: .allocate(byteCount: Int(size) * stride, alignment: 8), size: size)
    }

    deinit {
        unsafe mapping.producer.deallocate()
        unsafe mapping.consumer.deallocate()
        unsafe mapping.flags.deallocate()
        unsafe mapping.elements.deallocate()
    }

    /// Takes what was produced, oldest first.
    func consume<Element: BitwiseCopyable>(_: Element.Type) -> [Element] {
        var taken: [Element] = []
        while unsafe mapping.consumer.pointee != mapping.producer.pointee {
            taken.append(unsafe element(at: mapping.consumer.pointee).pointee)
            unsafe mapping.consumer.pointee &+= 1
        }
        return taken
    }

    /// Produces as many of `elements` as there is room for.
    func produce<Element: BitwiseCopyable>(_ elements: some Sequence<Element>) -> Int {
        var count = 0
        for value in elements
        where unsafe mapping.producer.pointee &- mapping.consumer.pointee < size {
            unsafe element(at: mapping.producer.pointee).pointee = value
            unsafe mapping.producer.pointee &+= 1
            count += 1
        }
        return count
    }

    private func element<Element>(at index: UInt32) -> UnsafeMutablePointer<Element> {
        unsafe mapping.elements.assumingMemoryBound(to: Element.self) + Int(index & (size - 1))
    }

    var needsWakeup: Bool {
        get { unsafe mapping.flags.pointee != 0 }
        set { unsafe mapping.flags.pointee = newValue ? UInt32(XDP_RING_NEED_WAKEUP) : 0 }
    }
}

/// Where free-running indices stand at first: at 0 as the kernel starts them, and where they are
/// about to wrap.
let startingIndices: [UInt32] = [0, .max - 3]

@Suite struct RingTests {
    @Test(arguments: startingIndices)
    func `the fill ring takes chunks in order until it is full`(start: UInt32) {
        let plain = PlainRing(size: 8, stride: 8, startingAt: start)
        var ring = FillRing()
        plain.mapping.bind(ring.storage)
        var pool = FramePool(chunkCount: 20, chunkSize: 4096)

        #expect(ring.enqueue(from: &pool, upTo: 5) == 5)
        #expect(ring.enqueue(from: &pool, upTo: 20) == 3)
        #expect(ring.enqueue(from: &pool, upTo: 20) == 0)
        #expect(pool.count == 12)
        #expect(plain.consume(UInt64.self) == (0..<8).map { $0 * 4096 })
        #expect(ring.enqueue(from: &pool, upTo: 20) == 8)
        #expect(plain.consume(UInt64.self).count == 8)
        #expect(ring.enqueue(from: &pool, upTo: 20) == 4)
        #expect(pool.count == 0)
    }

    @Test(arguments: startingIndices)
    func `the completion ring gives back whole chunks wherever their frames started`(
        start: UInt32
    ) {
        let plain = PlainRing(size: 4, stride: 8, startingAt: start)
        var ring = CompletionRing()
        plain.mapping.bind(ring.storage)
        var pool = FramePool(chunkCount: 6, chunkSize: 4096)
        let taken = (0..<6).compactMap { _ in pool.take() }
        var returned = 0

        #expect(plain.produce(taken.prefix(4).map { $0 + 236 }) == 4)
        returned += ring.dequeue(into: &pool, chunkMask: 4095, upTo: 3)
        #expect(returned == 3)
        #expect(plain.produce(taken.suffix(2).map { $0 + 4095 }) == 2)
        returned += ring.dequeue(into: &pool, chunkMask: 4095, upTo: 10)
        // `peek` looks at what it knows of first: the rest comes with the next call.
        returned += ring.dequeue(into: &pool, chunkMask: 4095, upTo: 10)
        #expect(returned == 6)
        #expect(ring.dequeue(into: &pool, chunkMask: 4095, upTo: 10) == 0)
        #expect(Set((0..<6).compactMap { _ in pool.take() }) == Set(taken))
    }

    @Test(arguments: startingIndices)
    func `the RX ring hands over descriptors as they were produced`(start: UInt32) {
        let plain = PlainRing(size: 4, stride: 16, startingAt: start)
        var ring = RXRing()
        plain.mapping.bind(ring.storage)
        let target = UnsafeMutableBufferPointer<xdp_desc>.allocate(capacity: 3)
        defer { unsafe target.deallocate() }

        #expect(ring.hasFrames == false)
        #expect(unsafe ring.receive(into: target) == 0)
        var seen: [UInt64] = []
        for round in UInt64(0)..<4 {
            let first = round * 4
            let descriptors = (first..<first + 4).map { number in
                xdp_desc(addr: number * 4096 + 256, len: UInt32(number), options: 0)
            }
            #expect(plain.produce(descriptors) == 4)
            #expect(ring.hasFrames == true)
            for expected in [3, 1] {
                #expect(unsafe ring.receive(into: target) == expected)
                for index in 0..<expected {
                    seen.append(unsafe target[index].addr)
                    #expect(unsafe target[index].addr == UInt64(target[index].len) * 4096 + 256)
                }
            }
        }
        #expect(seen == (0..<16).map { $0 * 4096 + 256 })
    }

    @Test(arguments: startingIndices)
    func `the TX ring takes the first frames there is room for`(start: UInt32) {
        let plain = PlainRing(size: 4, stride: 16, startingAt: start)
        var ring = TXRing()
        plain.mapping.bind(ring.storage)
        let frames = UnsafeMutableBufferPointer<xdp_desc>.allocate(capacity: 6)
        defer { unsafe frames.deallocate() }
        for index in 0..<6 {
            unsafe (frames[index] = xdp_desc(addr: UInt64(index), len: 60, options: 0))
        }

        #expect(unsafe ring.transmit(frames) == 4)
        #expect(ring.pendingCount == 4)
        #expect(unsafe ring.transmit(frames) == 0)
        #expect(plain.consume(xdp_desc.self).map(\.addr) == [0, 1, 2, 3])
        #expect(ring.pendingCount == 0)
        let rest = unsafe UnsafeMutableBufferPointer(rebasing: frames[4...])
        #expect(unsafe ring.transmit(rest) == 2)
        #expect(plain.consume(xdp_desc.self).map(\.addr) == [4, 5])
    }

    @Test func `need-wakeup is the kernel's flag`() {
        let plain = PlainRing(size: 4, stride: 16, startingAt: 0)
        let fill = FillRing()
        plain.mapping.bind(fill.storage)
        let tx = TXRing()
        plain.mapping.bind(tx.storage)
        #expect(fill.needsWakeup == false)
        #expect(tx.needsWakeup == false)
        plain.needsWakeup = true
        #expect(fill.needsWakeup == true)
        #expect(tx.needsWakeup == true)
    }

    @Test func `ring structs start at zero, as libxdp leaves the cached indices alone`() {
        for _ in 0..<100 {
            let producer = ProducerStorage()
            let consumer = ConsumerStorage()
            #expect(unsafe producer.ring.pointee.cached_prod == 0)
            #expect(unsafe producer.ring.pointee.cached_cons == 0)
            #expect(unsafe consumer.ring.pointee.cached_prod == 0)
            #expect(unsafe consumer.ring.pointee.cached_cons == 0)
            // So that the next one is given dirty memory.
            unsafe producer.ring.pointee.cached_prod = 0xdead_beef
            unsafe consumer.ring.pointee.cached_cons = 0xdead_beef
        }
    }
}
