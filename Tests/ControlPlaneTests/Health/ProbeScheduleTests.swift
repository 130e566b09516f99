// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import ControlPlane

@Suite struct ProbeScheduleTests {
    private static func health(
        interval: Int, timeout: Int, fall: Int, jitter: Int = 10
    ) -> HealthConfiguration {
        var health = HealthConfiguration()
        health.interval = .milliseconds(interval)
        health.timeout = .milliseconds(timeout)
        health.fall = fall
        health.jitter = jitter
        return health
    }

    /// Probes that all take their whole timeout, from right before the first one that fails.
    private func longest(_ health: HealthConfiguration, chance: Double) -> Duration {
        let doubtful = max(health.pause(isDoubtful: true, chance: chance), health.timeout)
        return health.pause(isDoubtful: false, chance: chance) + doubtful * (health.fall - 1)
            + health.timeout
    }

    @Test func `jitter only makes intervals shorter`() {
        let health = Self.health(interval: 1000, timeout: 100, fall: 3, jitter: 50)
        #expect(health.pause(isDoubtful: false, chance: 0) == .milliseconds(1000))
        #expect(health.pause(isDoubtful: false, chance: 1) == .milliseconds(500))
        #expect(health.pause(isDoubtful: true, chance: 0) == .milliseconds(500))
        #expect(health.pause(isDoubtful: true, chance: 1) == .milliseconds(250))
    }

    @Test(arguments: [1, 2, 3, 5, 10], [10, 100, 400, 500, 667, 900, 1000])
    func `no backend that fails stays longer than is said`(_ fall: Int, _ timeout: Int) {
        let health = Self.health(interval: 1000, timeout: timeout, fall: fall)
        for chance in [0, 0.5, 1] {
            #expect(longest(health, chance: chance) <= health.longestUntilUnhealthy)
        }
        #expect(longest(health, chance: 0) == health.longestUntilUnhealthy)
        guard let prompt = health.longestPromptTimeout else {
            #expect(fall == 1)
            return
        }
        let isPrompt = health.longestUntilUnhealthy <= health.interval * fall
        #expect(isPrompt == (health.timeout <= prompt))
    }

    @Test func `the defaults keep to fall intervals`() {
        let health = HealthConfiguration()
        #expect(health.longestUntilUnhealthy == .seconds(5))
    }
}

@Suite struct FullSizeRecordTests {
    @Test func `two large packets lost in a row count, and one that gets through clears them`() {
        var record = FullSizeRecord()
        record.note(false)
        #expect(!record.areLost)
        record.note(true)
        record.note(false)
        #expect(!record.areLost)
        record.note(false)
        #expect(record.areLost)
        record.note(true)
        #expect(!record.areLost)
    }

    @Test func `large packets say nothing while small ones are lost`() {
        var record = FullSizeRecord()
        for _ in 0..<5 { record.note(nil) }
        #expect(record == FullSizeRecord())
        record.note(false)
        record.note(nil)
        record.note(false)
        #expect(record.areLost)
    }

    @Test func `they are sent with every tenth probe, and with every one while they are lost`() {
        var record = FullSizeRecord()
        #expect((1...25).filter(record.isDue) == [1, 11, 21])
        record.note(false)
        #expect((1...25).filter(record.isDue).count == 25)
    }
}
