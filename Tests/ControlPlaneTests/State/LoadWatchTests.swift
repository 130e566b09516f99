// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import ControlPlane

@Suite struct LoadWatchTests {
    private var watch = LoadWatch()

    private mutating func look(
        losses: UInt64 = 0, entries: UInt64 = 0, alive: Bool = true
    ) -> [EventKind] {
        watch.look(
            .init(ringLosses: losses, entries: entries, capacity: 100, areWorkersAlive: alive)
        ).map(\.kind)
    }

    @Test mutating func lossesAreToldWhenTheyBeginAndAnewAfterACalmMinute() {
        // What was lost before the first look is nobody's news.
        #expect(look(losses: 7).isEmpty)
        #expect(look(losses: 8) == [.ringLoss])
        #expect(look(losses: 9).isEmpty)
        for _ in 0..<59 { #expect(look(losses: 9).isEmpty) }
        #expect(look(losses: 10).isEmpty)
        for _ in 0..<60 { #expect(look(losses: 10).isEmpty) }
        #expect(look(losses: 11) == [.ringLoss])
    }

    @Test mutating func aTableThatStaysFullIsToldOnceAndAgainAfterItHadRoom() {
        #expect(look(entries: 89).isEmpty)
        #expect(look(entries: 90) == [.tablePressure])
        #expect(look(entries: 85).isEmpty && look(entries: 95).isEmpty)
        #expect(look(entries: 79).isEmpty)
        #expect(look(entries: 90) == [.tablePressure])
    }

    @Test mutating func workersThatStandStillAreToldOnceEachTime() {
        #expect(look(alive: false) == [.workerStuck])
        #expect(look(alive: false).isEmpty)
        #expect(look(alive: true).isEmpty)
        #expect(look(alive: false) == [.workerStuck])
    }
}
