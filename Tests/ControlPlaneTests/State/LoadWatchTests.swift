// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import ControlPlane

@Suite struct LoadWatchTests {
    private var watch = LoadWatch()

    private mutating func look(
        losses: UInt64 = 0, entries: UInt64 = 0, stuck: [Int] = []
    ) -> [EventKind] {
        findings(losses: [0, losses], entries: entries, stuck: stuck).map(\.kind)
    }

    private mutating func findings(
        losses: [UInt64] = [0, 0], entries: UInt64 = 0, stuck: [Int] = []
    ) -> [LoadWatch.Finding] {
        watch.look(
            .init(
                interface: "ens1f0", queues: [4, 5], ringLosses: losses, entries: entries,
                capacity: 100, stuckWorkers: stuck))
    }

    @Test mutating func `losses are told when they begin, and anew after a calm minute`() {
        // What was lost before the first look is nobody's news.
        #expect(look(losses: 7).isEmpty)
        #expect(look(losses: 8) == [.ringLoss])
        #expect(look(losses: 9).isEmpty)
        for _ in 0..<59 { #expect(look(losses: 9).isEmpty) }
        #expect(look(losses: 10).isEmpty)
        for _ in 0..<60 { #expect(look(losses: 10).isEmpty) }
        #expect(look(losses: 11) == [.ringLoss])
    }

    @Test mutating func `a table that stays full is told once, and again after it had room`() {
        #expect(look(entries: 89).isEmpty)
        #expect(look(entries: 90) == [.tablePressure])
        #expect(look(entries: 85).isEmpty && look(entries: 95).isEmpty)
        #expect(look(entries: 79).isEmpty)
        #expect(look(entries: 90) == [.tablePressure])
    }

    @Test mutating func `a worker that stands still is told once each time`() {
        #expect(look(stuck: [1]) == [.workerStuck])
        #expect(look(stuck: [1]).isEmpty)
        #expect(look(stuck: [0, 1]) == [.workerStuck])
        #expect(look().isEmpty)
        #expect(look(stuck: [1]) == [.workerStuck])
    }

    @Test mutating func `a loss and a stuck worker are told with interface, queue and worker`() {
        _ = findings()
        for finding in findings(losses: [0, 3], stuck: [1]) {
            let fields = Dictionary(uniqueKeysWithValues: finding.fields)
            #expect(fields["interface"] == "ens1f0")
            #expect(fields["queue"] == "5")
            #expect(fields["worker"] == "1")
            #expect(finding.kind != .ringLoss || fields["lost"] == "3")
        }
    }
}
