// SPDX-License-Identifier: Apache-2.0
import DataPlane
import Synchronization
import TestSupport
import Testing

@testable import Workers

/// What threads tell the test.
private final class Tally: Sendable {
    let stops = Atomic<Bool>(false)
    let wrong = Atomic<Int>(0)
    let adopted = Atomic<Int>(0)
}

@Suite struct SnapshotSlotTests {
    private static func snapshot(_ generation: UInt64) -> ForwardingSnapshot {
        var plan = PlanFixture.plan(.dsr)
        plan.generation = generation
        return ForwardingSnapshot(plan)
    }

    @Test func `a retired snapshot is kept until every worker has moved on`() {
        let slot = SnapshotSlot(Self.snapshot(1), workers: 2)
        var first = slot.reader(for: 0)
        var second = slot.reader(for: 1)
        let retired = slot.exchange(Self.snapshot(2))
        #expect(!slot.reclaim(retired))
        #expect(first.current.generation == 1)
        let adopted = first.refresh()
        #expect(adopted && first.current.generation == 2)
        #expect(!slot.reclaim(retired))
        _ = second.refresh()
        #expect(slot.reclaim(retired))
        let again = second.refresh()
        #expect(!again, "nothing new was published")
    }

    @Test func `a worker that has ended holds nothing back`() {
        let slot = SnapshotSlot(Self.snapshot(1), workers: 1)
        do {
            let reader = slot.reader(for: 0)
            #expect(reader.current.generation == 1)
        }
        #expect(slot.reclaim(slot.exchange(Self.snapshot(2))))
    }

    /// Under load: a snapshot that was freed too early would read as another generation, or crash.
    @Test func `two threads see 300 generations in order and none that was freed`() async throws {
        let slot = SnapshotSlot(Self.snapshot(1), workers: 2)
        let tally = Tally()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for worker in 0..<2 {
                group.addTask {
                    var reader = slot.reader(for: worker)
                    var latest: UInt64 = 0
                    while !tally.stops.load(ordering: .relaxed) {
                        if reader.refresh() { tally.adopted.add(1, ordering: .relaxed) }
                        let generation = reader.current.generation
                        if generation < latest || generation > 301 {
                            tally.wrong.add(1, ordering: .relaxed)
                        }
                        latest = generation
                        await Task.yield()
                    }
                }
            }
            for generation in 2...301 as ClosedRange<UInt64> {
                let retired = slot.exchange(Self.snapshot(generation))
                while !slot.reclaim(retired) { await Task.yield() }
            }
            tally.stops.store(true, ordering: .relaxed)
            try await group.waitForAll()
        }
        #expect(tally.wrong.load(ordering: .relaxed) == 0)
        #expect(tally.adopted.load(ordering: .relaxed) >= 300)
    }
}
