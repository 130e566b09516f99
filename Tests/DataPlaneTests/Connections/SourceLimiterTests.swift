// SPDX-License-Identifier: Apache-2.0
import TestSupport
import Testing

@testable import DataPlane

/// Holds a limiter, which expectations could not copy.
private final class Limiter {
    private var limiter = SourceLimiter(capacity: 64)

    func take(_ source: IPAddress, _ hash: UInt64, rate: UInt32, at tick: Tick) -> Bool {
        limiter.take(source, hash, rate: rate, at: tick)
    }

    func has(_ source: IPAddress, _ hash: UInt64, rate: UInt32, at tick: Tick) -> Bool {
        limiter.has(source, hash, rate: rate, at: tick)
    }
}

/// How much each source may do in a second.
@Suite struct SourceLimiterTests {
    private static let alice = PlanFixture.address("10.0.0.1")
    private static let bob = PlanFixture.address("2001:db8::2")

    @Test(arguments: [1 << 20, UInt32.max - 1500])
    func `a source has its rate at once, and then as much in each second`(start: UInt32) {
        let limiter = Limiter()
        var now = Tick(milliseconds: start)
        func taken(_ attempts: Int) -> Int {
            (0..<attempts).count { _ in
                limiter.take(Self.alice, 1, rate: 10, at: now)
            }
        }
        #expect(taken(25) == 10)
        now = now.advanced(by: 500)
        #expect(taken(25) == 5)
        now = now.advanced(by: 5000)
        #expect(taken(25) == 10)
    }

    @Test func `looking takes nothing`() {
        let limiter = Limiter()
        let now = Tick(milliseconds: 1 << 20)
        for _ in 0..<100 { #expect(limiter.has(Self.alice, 1, rate: 1, at: now)) }
        #expect(limiter.take(Self.alice, 1, rate: 1, at: now))
        #expect(!limiter.has(Self.alice, 1, rate: 1, at: now))
        #expect(!limiter.take(Self.alice, 1, rate: 1, at: now))
    }

    @Test func `one source's flood is not charged to another at the same place`() {
        let limiter = Limiter()
        let now = Tick(milliseconds: 1 << 20)
        // Both places of the hash are one.
        let hash: UInt64 = 3 << 32 | 3
        for _ in 0..<50 { _ = limiter.take(Self.alice, hash, rate: 10, at: now) }
        for _ in 0..<50 { #expect(limiter.take(Self.bob, hash, rate: 10, at: now)) }
        #expect(!limiter.take(Self.alice, hash, rate: 10, at: now))
    }

    @Test func `no window of any length has more than the burst and the rate allow`() {
        var generator = SeededGenerator(state: 3)
        let limiter = Limiter()
        let rate = 20
        var now = Tick(milliseconds: UInt32.max - 20_000)
        var time = 0
        var times: [Int] = []
        for _ in 0..<5000 {
            let step = Int.random(in: 0...30, using: &generator)
            now = now.advanced(by: UInt32(step))
            time += step
            if limiter.take(Self.alice, 1, rate: UInt32(rate), at: now) { times.append(time) }
        }
        #expect(times.count > 1000)
        for first in times.indices {
            for last in first..<min(first + 200, times.count) {
                let allowed = rate + (times[last] - times[first]) * rate / 1000 + 1
                #expect(last - first + 1 <= allowed)
            }
        }
    }
}
