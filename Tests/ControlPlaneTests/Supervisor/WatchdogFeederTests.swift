// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import ControlPlane

/// When the supervisor's watchdog is fed.
@Suite struct WatchdogFeederTests {
    private let start = ContinuousClock.now

    /// When a watchdog of ten seconds is fed, asked each second for a minute.
    private func feedings(_ rounds: (_ second: Int) -> [UInt64]) -> [Int] {
        var feeder = WatchdogFeeder(interval: .seconds(10), rounds: rounds(0), at: start)
        return (1...60).filter { feeder.isDue(rounds($0), at: start + .seconds($0)) }
    }

    @Test func `it is fed at half of its interval while every worker works`() {
        let times = feedings { [UInt64($0), UInt64($0) * 1000] }
        #expect(times == [5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55, 60])
    }

    @Test func `one worker that stands still is enough for it to starve`() {
        let times = feedings { [UInt64($0), UInt64(min($0, 12))] }
        #expect(times == [5, 10, 15])
    }

    @Test func `a worker that never began is not taken for one that works`() {
        #expect(feedings { [UInt64($0), 0] }.isEmpty)
    }

    @Test func `a worker that was held up is forgiven as soon as it goes on`() {
        let times = feedings { [UInt64($0 < 6 || $0 > 13 ? $0 : 6)] }
        #expect(times.prefix(3) == [5, 10, 15])
        let late = feedings { [UInt64($0 <= 5 || $0 > 13 ? $0 : 5)] }
        #expect(late.prefix(3) == [5, 14, 19])
    }

    @Test func `it is asked often enough to be fed before it bites`() {
        for interval in [Duration.milliseconds(100), .seconds(1), .seconds(30)] {
            let feeder = WatchdogFeeder(interval: interval, rounds: [], at: start)
            #expect(feeder.glance + interval / 2 < interval)
            #expect(feeder.glance <= .seconds(1))
        }
    }
}
