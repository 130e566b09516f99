// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import ControlPlane

@Suite struct HealthStateTests {
    private var configuration: HealthConfiguration {
        var configuration = HealthConfiguration()
        configuration.kind = .tcp
        return configuration
    }

    /// States after each of a row of probes: `+` succeeds, `-` times out.
    private func states(_ probes: String, from first: BackendHealth = .unknown) -> [BackendHealth] {
        var state = HealthState(at: Date(), health: first)
        return probes.map { probe in
            let result = probe == "+" ? ProbeResult.success : .timeout
            _ = state.note(
                ProbeOutcome(result: result, took: .milliseconds(1)), configuration, at: Date())
            return state.health
        }
    }

    @Test func `the first success makes an unknown backend healthy`() {
        #expect(states("+") == [.healthy])
        #expect(states("-+") == [.unknown, .healthy])
    }

    @Test func `three failures in a row make it unhealthy and fewer do not`() {
        #expect(states("+--+--+") == [BackendHealth](repeating: .healthy, count: 7))
        #expect(states("+---").last == .unhealthy)
        #expect(states("---") == [.unknown, .unknown, .unhealthy])
    }

    @Test func `an unhealthy backend needs two successes in a row`() {
        #expect(
            states("+-+-++", from: .unhealthy) == [
                .unhealthy, .unhealthy, .unhealthy, .unhealthy, .unhealthy, .healthy,
            ])
    }

    @Test func `only the probe that changes the state says so`() {
        var state = HealthState(at: Date())
        let changes = "+++---+++".map { probe in
            let result = probe == "+" ? ProbeResult.success : .refused
            let outcome = ProbeOutcome(result: result, took: .zero)
            return state.note(outcome, configuration, at: Date())
        }
        #expect(changes == [true, false, false, false, false, true, false, true, false])
    }

    @Test func `the reason says what was found and what it is due to`() {
        var state = HealthState(at: Date())
        let outcome = ProbeOutcome(result: .badReply, took: .zero, detail: "status 503")
        for _ in 0..<3 { _ = state.note(outcome, configuration, diagnosis: "asleep", at: Date()) }
        #expect(state.reason == "status 503: asleep")
        #expect(state.probe == "status 503 3/3")
    }

    @Test func `every probe is in one count and in one bucket`() {
        var state = HealthState(at: Date())
        for milliseconds in [0, 1, 2, 50, 500, 5000] {
            let took = Duration.milliseconds(milliseconds)
            _ = state.note(ProbeOutcome(result: .success, took: took), configuration, at: Date())
        }
        #expect(state.count == 6)
        #expect(state.durations.cumulativeCounts == [2, 3, 4, 5])
        #expect(state.durations.count == 6)
        #expect(abs(state.durations.sum - 5.553) < 0.000_001)
    }
}
