// SPDX-License-Identifier: Apache-2.0
import TestSupport
import Testing

@testable import DataPlane

/// Holds a table, which expectations could not copy.
private final class Table {
    private var table = FragmentTable()

    func insert(_ entry: FragmentEntry, _ hash: UInt64, at tick: Tick) {
        table.insert(entry, hash, at: tick)
    }

    func find(_ key: FragmentKey, _ hash: UInt64, at tick: Tick) -> FragmentEntry? {
        table.find(key, hash, at: tick)
    }
}

/// How long a decision on a first fragment is kept, and for which packet.
@Suite struct FragmentTableTests {
    private static func key(_ identification: UInt32, from source: String = "10.0.0.9")
        -> FragmentKey
    {
        FragmentKey(
            source: PlanFixture.address(source), destination: PlanFixture.address("40.1.1.1"),
            identification: identification, transport: 17)
    }

    private static func entry(
        _ key: FragmentKey, target: UInt16, at tick: Tick
    ) -> FragmentEntry {
        FragmentEntry(
            key: key, ports: 1, created: tick.milliseconds, target: target, service: 0,
            action: .encapsulate)
    }

    // Also where the clock wraps around.
    @Test(arguments: [1000, UInt32.max - 5000])
    func `a decision is found for its lifetime and no longer`(start: UInt32) {
        let table = Table()
        let then = Tick(milliseconds: start)
        table.insert(Self.entry(Self.key(1), target: 7, at: then), 99, at: then)
        let last = then.advanced(by: FragmentTable.lifetime - 1)
        #expect(table.find(Self.key(1), 99, at: then)?.target == 7)
        #expect(table.find(Self.key(1), 99, at: last)?.target == 7)
        #expect(table.find(Self.key(1), 99, at: last.advanced(by: 1)) == nil)
    }

    @Test func `packets with one hash stay apart`() {
        let table = Table()
        let now = Tick(milliseconds: 1 << 20)
        let keys = [Self.key(1), Self.key(2), Self.key(1, from: "10.0.0.8")]
        for (index, key) in keys.enumerated() {
            table.insert(Self.entry(key, target: UInt16(index), at: now), 5, at: now)
        }
        for (index, key) in keys.enumerated() {
            #expect(table.find(key, 5, at: now)?.target == UInt16(index))
        }
        #expect(table.find(Self.key(3), 5, at: now) == nil)
    }

    @Test func `a later decision on a packet takes the place of the earlier one`() {
        let table = Table()
        let now = Tick(milliseconds: 1 << 20)
        for target in [1, 2, 3] as [UInt16] {
            table.insert(Self.entry(Self.key(1), target: target, at: now), 5, at: now)
        }
        #expect(table.find(Self.key(1), 5, at: now)?.target == 3)
        // None of the eight places of the set is lost to it.
        for other in 2...8 as ClosedRange<UInt32> {
            table.insert(Self.entry(Self.key(other), target: 9, at: now), 5, at: now)
        }
        #expect(table.find(Self.key(1), 5, at: now)?.target == 3)
    }

    @Test func `the ninth packet of a set takes the place of the oldest`() {
        let table = Table()
        var now = Tick(milliseconds: 1 << 20)
        for number in 0..<9 as Range<UInt32> {
            table.insert(Self.entry(Self.key(number), target: UInt16(number), at: now), 5, at: now)
            now = now.advanced(by: 10)
        }
        #expect(table.find(Self.key(0), 5, at: now) == nil)
        for number in 1..<9 as Range<UInt32> {
            #expect(table.find(Self.key(number), 5, at: now)?.target == UInt16(number))
        }
    }
}
