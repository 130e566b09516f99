// SPDX-License-Identifier: Apache-2.0
import DataPlane
import TestSupport
import Testing

/// What a walk finds of SNAT ports and fragments.
@Suite struct TableCensusTests {
    private static let layout = TableCensus.Layout(
        groups: 1, groupOfAddress: [0], portSpaces: 2)

    private static func census(
        _ harness: PipelineHarness, _ layout: TableCensus.Layout = layout
    ) throws -> TableCensus {
        try #require(harness.scan(.init(), .census(layout)).census)
    }

    @Test func `ports are counted by backend and protocol, and those that rest apart`() throws {
        let harness = PipelineHarness(PlanFixture.plan(.snat))
        let tcp = (0..<40).map { index in
            PacketBuilder().with { $0.sourcePort = 3000 + UInt16(index) }
        }
        let sent = harness.send(tcp.map(\.frame))
        for index in 0..<10 {
            let udp = PacketBuilder().with {
                $0.tcpFlags = nil
                $0.destinationPort = 53
                $0.sourcePort = 5000 + UInt16(index)
            }
            _ = harness.send(udp.frame)
        }
        // Both sides of the first fifteen close.
        for index in 0..<15 {
            _ = harness.send(tcp[index].with { $0.tcpFlags = 0x11 }.frame)
            _ = harness.send(PacketBuilder.answer(to: sent[index].frame, flags: 0x11).frame)
        }
        let ports = try Self.census(harness).ports(ofGroup: 0)
        #expect(ports.count == 4)
        // Sets are in pairs of TCP and UDP.
        let (overTCP, overUDP) = ([ports[0], ports[2]], [ports[1], ports[3]])
        #expect(overTCP.reduce(0) { $0 + $1.taken } == 40)
        #expect(overTCP.reduce(0) { $0 + $1.resting } == 15)
        #expect(overUDP.reduce(0) { $0 + $1.taken } == 10)
        #expect(overUDP.allSatisfy { $0.resting == 0 })
        #expect(overTCP.allSatisfy { $0.taken > 0 })
    }

    @Test func `connections of dsr and addresses of no group are not counted`() throws {
        let tunnelling = PipelineHarness(PlanFixture.plan(.dsr))
        _ = tunnelling.send(PacketBuilder().with { $0.tcpFlags = 0x10 }.frame)
        #expect(tunnelling.connectionCount == 1)
        #expect(try Self.census(tunnelling).ports(ofGroup: 0).allSatisfy { $0.taken == 0 })

        let translating = PipelineHarness(PlanFixture.plan(.snat))
        _ = translating.send(PacketBuilder().frame)
        let elsewhere = TableCensus.Layout(groups: 1, groupOfAddress: [nil], portSpaces: 2)
        let ports = try Self.census(translating, elsewhere).ports(ofGroup: 0)
        #expect(ports.allSatisfy { $0.taken == 0 })
    }

    @Test func `a packet in pieces is one fragment entry for fifteen seconds`() throws {
        let none = TableCensus.Layout(groups: 0, groupOfAddress: [], portSpaces: 0)
        let harness = PipelineHarness(PlanFixture.mixedPlan(dsrBackends: [0]))
        #expect(try Self.census(harness, none).fragments == 0)
        let datagram = PacketBuilder().with {
            $0.tcpFlags = nil
            $0.destinationPort = 53
            $0.payload = [UInt8](repeating: 7, count: 1000)
        }
        _ = harness.send(datagram.fragments(of: 400))
        #expect(try Self.census(harness, none).fragments == 1)
        harness.now += 14_999
        #expect(try Self.census(harness, none).fragments == 1)
        harness.now += 1
        #expect(try Self.census(harness, none).fragments == 0)
    }
}
