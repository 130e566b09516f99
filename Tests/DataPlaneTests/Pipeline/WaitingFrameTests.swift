// SPDX-License-Identifier: Apache-2.0
import DataPlane
import TestSupport
import Testing

/// Frames whose next hop is not resolved.
@Suite struct WaitingFrameTests {
    private static let udp = PacketBuilder().with {
        $0.tcpFlags = nil
        $0.destinationPort = 53
    }

    private static func harness() -> PipelineHarness {
        var plan = PlanFixture.plan(.dsr, backends: 1)
        plan.nextHops[1].mac = nil
        return PipelineHarness(plan)
    }

    @Test func `a frame waits, the kernel is asked, and it leaves when the answer is published`() {
        let harness = Self.harness()
        #expect(harness.send(Self.udp.frame).verdict == .wait)
        #expect(harness.asked == [PlanFixture.address("20.1.1.10")])
        #expect(harness.maintain().isEmpty)
        harness.publish { $0.nextHops[1].mac = MACAddress(bytes: [2, 0, 0, 0, 9, 9]) }
        let released = harness.maintain()
        #expect(released.count == 1)
        #expect(released.first.map { Array($0[0..<6]) } == [2, 0, 0, 0, 9, 9])
        #expect(harness.waitingCount == 0 && harness.chunksHeld == 0)
        #expect(harness.counters[.waitingSent] == 1)
    }

    @Test func `the kernel is asked once for many frames, and again after a while`() {
        let harness = Self.harness()
        _ = harness.send([Self.udp.frame, Self.udp.frame, Self.udp.frame])
        #expect(harness.asked.count == 1)
        harness.now += 600
        _ = harness.send(Self.udp.frame)
        #expect(harness.asked.count == 1)
    }

    @Test func `a frame that waited in vain is dropped and its chunk given back`() {
        let harness = Self.harness()
        _ = harness.send(Self.udp.frame)
        harness.now += 2900
        #expect(harness.maintain().isEmpty)
        #expect(harness.waitingCount == 1)
        harness.now += 200
        #expect(harness.maintain().isEmpty)
        #expect(harness.waitingCount == 0 && harness.chunksHeld == 0)
        #expect(harness.counters[.noNeighbour] == 1 && harness.counters[.waitingDropped] == 1)
    }

    @Test func `at most 64 frames wait for a next hop, the others are dropped`() {
        let harness = Self.harness()
        let outcomes = harness.send((0..<100).map { _ in Self.udp.frame })
        #expect(outcomes.filter { $0.verdict == .wait }.count == 64)
        #expect(outcomes.filter { $0.verdict == .drop(.noNeighbour) }.count == 36)
        #expect(harness.chunksHeld == 64)
    }

    @Test func `without a route frames are dropped at once`() {
        var plan = PlanFixture.plan(.dsr, backends: 1)
        plan.backends[0].nextHop = nil
        let harness = PipelineHarness(plan)
        #expect(harness.send(Self.udp.frame).verdict == .drop(.noNeighbour))
    }
}
