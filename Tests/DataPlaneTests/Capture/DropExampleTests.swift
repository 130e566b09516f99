// SPDX-License-Identifier: Apache-2.0
import DataPlane
import TestSupport
import Testing

/// The examples of dropped frames that a worker keeps.
@Suite struct DropExampleTests {
    @Test func `the example of a reason is a frame that was dropped for it`() throws {
        var plan = PlanFixture.plan(.dsr)
        plan.services[0].sourceRanges = [IPPrefix("192.168.0.0/16")].compactMap { $0 }
        let harness = PipelineHarness(plan)
        #expect(DropReason.allCases.allSatisfy { harness.counters.example(of: $0) == nil })
        _ = harness.send(PacketBuilder().frame)
        let example = try #require(harness.counters.example(of: .policy))
        #expect(example.flow?.description == "tcp 10.0.0.9:4444 > 40.1.1.1:80")
        #expect(example.service == 0 && example.backend == nil && !example.wasAnswered)
        #expect(example.tcpFlags == .syn && example.packetLength == 43)
        #expect(example.tick == Tick(milliseconds: harness.now))
        #expect(harness.counters.example(of: .noService) == nil)
    }

    @Test func `an example stays for a quarter of a second, and is then replaced`() {
        let harness = PipelineHarness(PlanFixture.plan(.dsr))
        func drop(_ port: UInt16) {
            _ = harness.send(PacketBuilder().with { $0.destinationPort = port }.frame)
        }
        func port() -> UInt16? {
            harness.counters.example(of: .noService)?.flow?.destinationPort
        }
        drop(81)
        drop(82)
        harness.now += 249
        drop(83)
        #expect(port() == 81)
        harness.now += 1
        drop(84)
        #expect(port() == 84)
    }

    @Test func `a frame that cannot be parsed shows the addresses it seems to have`() {
        let harness = PipelineHarness(PlanFixture.plan(.dsr))
        // The batch before leaves a flow behind that is not to be taken for this one's.
        _ = harness.send(PacketBuilder().frame)
        var broken = PacketBuilder().with { $0.source = "10.9.9.9" }.frame
        broken[24] ^= 1
        _ = harness.send(broken)
        let example = harness.counters.example(of: .badChecksum)
        #expect(example?.flow?.description == "tcp 10.9.9.9:4444 > 40.1.1.1:80")
        _ = harness.send([UInt8](repeating: 0xee, count: 60))
        #expect(harness.counters[.notIP] == 1)
        #expect(harness.counters.example(of: .notIP)?.flow == nil)
    }

    @Test func `an IPv6 flow, the backend and the answer are kept as well`() throws {
        let harness = PipelineHarness(PlanFixture.mixedPlan())
        let frame = PacketBuilder().with {
            $0.source = "2001:db8:9::9"
            $0.destination = "2001:db8:40::1"
            $0.payload = [UInt8](repeating: 1, count: 1440)
        }.frame
        let outcome = harness.send(frame)
        #expect(outcome.verdict == .transmit)
        let example = try #require(harness.counters.example(of: .tooBig))
        #expect(
            example.flow?.description == "tcp [2001:db8:9::9]:4444 > [2001:db8:40::1]:80")
        #expect(example.wasAnswered && example.backend != nil && example.packetLength == 1500)
    }

    @Test func `a frame that waited in vain shows the next hop`() {
        var plan = PlanFixture.plan(.dsr, backends: 1)
        plan.nextHops[1].mac = nil
        let harness = PipelineHarness(plan)
        _ = harness.send(PacketBuilder().frame)
        harness.now += 4000
        _ = harness.maintain(rounds: 2)
        #expect(harness.counters[.noNeighbour] == 1)
        let example = harness.counters.example(of: .noNeighbour)
        #expect(example?.nextHop == PlanFixture.address("20.1.1.10"))
    }

    @Test func `every reason has a chapter with all of its parts`() {
        for reason in DropReason.allCases {
            let chapter = reason.chapter
            #expect(!chapter.meaning.isEmpty && !chapter.causes.isEmpty, "\(reason)")
            #expect(!chapter.look.isEmpty && !chapter.commands.isEmpty, "\(reason)")
            #expect(DropReason(token: reason.token) == reason)
        }
        let meanings = Set(DropReason.allCases.map(\.chapter.meaning))
        #expect(meanings.count == DropReason.allCases.count)
    }
}
