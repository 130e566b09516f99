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

    @Test func theFirstSuccessMakesAnUnknownBackendHealthy() {
        #expect(states("+") == [.healthy])
        #expect(states("-+") == [.unknown, .healthy])
    }

    @Test func threeFailuresInARowMakeItUnhealthyAndFewerDoNot() {
        #expect(states("+--+--+") == [BackendHealth](repeating: .healthy, count: 7))
        #expect(states("+---").last == .unhealthy)
        #expect(states("---") == [.unknown, .unknown, .unhealthy])
    }

    @Test func anUnhealthyBackendNeedsTwoSuccessesInARow() {
        #expect(
            states("+-+-++", from: .unhealthy) == [
                .unhealthy, .unhealthy, .unhealthy, .unhealthy, .unhealthy, .healthy,
            ])
    }

    @Test func onlyTheProbeThatChangesTheStateSaysSo() {
        var state = HealthState(at: Date())
        let changes = "+++---+++".map { probe in
            let result = probe == "+" ? ProbeResult.success : .refused
            let outcome = ProbeOutcome(result: result, took: .zero)
            return state.note(outcome, configuration, at: Date())
        }
        #expect(changes == [true, false, false, false, false, true, false, true, false])
    }

    @Test func theReasonSaysWhatWasFoundAndWhatItIsDueTo() {
        var state = HealthState(at: Date())
        let outcome = ProbeOutcome(result: .badReply, took: .zero, detail: "status 503")
        for _ in 0..<3 { _ = state.note(outcome, configuration, diagnosis: "asleep", at: Date()) }
        #expect(state.reason == "status 503: asleep")
        #expect(state.probe == "status 503 3/3")
    }

    @Test func everyProbeIsInOneCountAndInOneBucketAtMost() {
        var state = HealthState(at: Date())
        for milliseconds in [0, 1, 2, 50, 500, 5000] {
            let took = Duration.milliseconds(milliseconds)
            _ = state.note(ProbeOutcome(result: .success, took: took), configuration, at: Date())
        }
        #expect(state.count == 6)
        #expect(state.durations == [2, 1, 1, 1])
        #expect(abs(state.totalSeconds - 5.553) < 0.000_001)
    }
}
