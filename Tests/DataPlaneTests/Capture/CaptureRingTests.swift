// SPDX-License-Identifier: Apache-2.0
import TestSupport
import Testing

@testable import DataPlane

/// A ring in memory of its own.
@safe
private final class OwnedRing {
    let memory: UnsafeMutableRawPointer
    let ring: CaptureRing

    init(_ settings: CaptureSettings) {
        let byteCount = CaptureRing.byteCount(settings)
        unsafe memory = .allocate(byteCount: byteCount, alignment: 64)
        unsafe memory.initializeMemory(as: UInt8.self, repeating: 0, count: byteCount)
        ring = unsafe CaptureRing(preparing: memory, settings)
    }

    deinit { unsafe memory.deallocate() }

    func put(_ received: [UInt8], _ sent: [UInt8], at time: UInt64 = 0) {
        let record = CaptureRecord(
            number: 0, receivedAt: time, sentAt: time + 1, receivedLength: UInt32(received.count),
            sentLength: UInt32(sent.count), service: 7, backend: nil, reason: .policy,
            outcome: .dropped, lookup: .miss, isHandedOver: true)
        unsafe received.withUnsafeBytes { received in
            unsafe sent.withUnsafeBytes { unsafe ring.put(record, received, $0) }
        }
    }
}

@Suite struct CaptureRingTests {
    private static let small = CaptureSettings(snapLength: 100, capacity: 2048)

    @Test func `records come out in order, whole, and under consecutive numbers`() {
        let owned = OwnedRing(Self.small)
        for round in 0..<500 as Range<Int> {
            // Lengths that end everywhere, so that records break off at the end of the ring.
            let received = [UInt8](repeating: UInt8(round & 255), count: round % 101)
            let sent = [UInt8](repeating: UInt8(round & 127), count: round * 7 % 101)
            owned.put(received, sent, at: UInt64(round))
            let pair = owned.ring.next()
            #expect(pair?.received == received && pair?.sent == sent)
            #expect(pair?.record.number == UInt64(round))
            #expect(pair?.record.receivedAt == UInt64(round))
            #expect(pair?.record.service == 7 && pair?.record.backend == nil)
            #expect(pair?.record.reason == .policy && pair?.record.isHandedOver == true)
        }
        #expect(owned.ring.next() == nil)
        #expect(owned.ring.lostCount == 0)
    }

    @Test
    func `a full ring counts what it loses, keeps what it has, and goes on when there is room`() {
        let owned = OwnedRing(Self.small)
        for round in 0..<100 { owned.put([UInt8](repeating: UInt8(round), count: 100), []) }
        var kept: [UInt8] = []
        while let pair = owned.ring.next() { kept.append(pair.received[0]) }
        #expect(kept == (0..<UInt8(kept.count)).map { $0 })
        #expect(kept.count > 5 && owned.ring.lostCount == UInt64(100 - kept.count))
        owned.put([200], [201])
        let after = owned.ring.next()
        #expect(after?.received == [200] && after?.sent == [201])
        // What is missing shows in the numbers, too.
        #expect(after?.record.number == 100)
    }

    @Test func `a reader on another thread gets every record that was not lost, in order`() async {
        let owned = OwnedRing(CaptureSettings(snapLength: 64, capacity: 4096))
        let ring = owned.ring
        let total = 20_000
        let reader = Task.detached { () -> (count: Int, isOrdered: Bool) in
            var count = 0
            var isOrdered = true
            var latest: UInt64?
            while true {
                guard let pair = ring.next() else {
                    await Task.yield()
                    continue
                }
                // The last one has no copies.
                if pair.received.isEmpty { return (count, isOrdered) }
                let number = pair.record.number
                let matches = pair.received.allSatisfy { $0 == UInt8(number & 255) }
                isOrdered = isOrdered && matches && latest.map { $0 < number } ?? true
                latest = number
                count += 1
            }
        }
        for number in 0..<total {
            let count = 1 + number % 64
            owned.put([UInt8](repeating: UInt8(number & 255), count: count), [])
        }
        let lost = Int(ring.lostCount)
        // Until there is room for it.
        while true {
            let before = ring.lostCount
            owned.put([], [])
            if ring.lostCount == before { break }
            await Task.yield()
        }
        let result = await reader.value
        #expect(result.isOrdered)
        #expect(result.count + lost == total)
    }
}
