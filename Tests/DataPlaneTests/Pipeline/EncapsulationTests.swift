// SPDX-License-Identifier: Apache-2.0
import DataPlane
import TestSupport
import Testing

/// `dsr`: what leaves is the packet as it came behind an outer header.
@Suite struct EncapsulationTests {
    /// The outer header's fields that matter, read by hand.
    private static func checkOuter(
        _ frame: [UInt8], inner: [UInt8], typeOfService: UInt8, dontFragment: Bool
    ) {
        let outer = Array(frame[14..<34])
        #expect(Array(frame[12..<14]) == [8, 0])
        #expect(outer[0] == 0x45 && outer[9] == 4 && outer[8] == 64)
        #expect(outer[1] == typeOfService)
        #expect(Int(outer[2]) * 256 + Int(outer[3]) == 20 + inner.count)
        #expect(SlowChecksum.of(outer) == 0)
        #expect((outer[6] == 0x40) == dontFragment && outer[7] == 0)
        #expect(dontFragment == (outer[4] == 0 && outer[5] == 0))
        #expect(Array(outer[12..<16]) == [20, 1, 1, 1])
        #expect(Array(frame[34...]) == inner)
    }

    @Test(arguments: 0...255 as ClosedRange<UInt8>)
    func `type of service and DF are copied out for every value`(_ value: UInt8) {
        let harness = PipelineHarness(PlanFixture.plan(.dsr))
        for fragment in [0, 0x4000] as [UInt16] {
            let packet = PacketBuilder().with {
                $0.typeOfService = value
                $0.fragment = fragment
            }
            let outcome = harness.send(packet.frame)
            #expect(outcome.verdict == .transmit)
            Self.checkOuter(
                outcome.frame, inner: packet.packet, typeOfService: value,
                dontFragment: fragment != 0)
        }
    }

    @Test(arguments: [0, 1, 2, 255] as [UInt8])
    func `the inner time to live stays, as the packet has arrived`(_ timeToLive: UInt8) {
        let harness = PipelineHarness(PlanFixture.plan(.dsr))
        let packet = PacketBuilder().with { $0.timeToLive = timeToLive }
        let outcome = harness.send(packet.frame)
        Self.checkOuter(
            outcome.frame, inner: packet.packet, typeOfService: 0, dontFragment: true)
    }

    @Test func `Ethernet padding is cut off, whatever its bytes`() {
        let harness = PipelineHarness(PlanFixture.plan(.dsr))
        for trailer in [[0, 0, 0], [8, 0, 0x45, 0xff]] as [[UInt8]] {
            let packet = PacketBuilder().with { $0.trailer = trailer }
            let outcome = harness.send(packet.frame)
            #expect(outcome.frame.count == 34 + packet.packet.count)
            #expect(Array(outcome.frame[34...]) == packet.packet)
        }
    }

    @Test func `what does not fit is dropped in silence when that is configured`() {
        var plan = PlanFixture.plan(.dsr)
        plan.encapsulation.repliesTooBig = false
        let harness = PipelineHarness(plan)
        let fits = PacketBuilder().with { $0.payload = [UInt8](repeating: 7, count: 1440) }
        #expect(harness.send(fits.frame).verdict == .transmit)
        let over = fits.with { $0.payload.append(7) }
        #expect(harness.send(over.frame).verdict == .drop(.tooBig))
    }

    @Test func `a hashed outer source stays in its prefix and differs by flow`() {
        var plan = PlanFixture.plan(.dsr)
        plan.encapsulation.ipv4SourcePrefix = IPPrefix("172.16.0.0/16")
        let harness = PipelineHarness(plan)
        var sources: Set<[UInt8]> = []
        for port in 1...100 as ClosedRange<UInt16> {
            let frame = harness.send(PacketBuilder().with { $0.sourcePort = port }.frame).frame
            #expect(Array(frame[26..<28]) == [172, 16])
            #expect(SlowChecksum.of(Array(frame[14..<34])) == 0)
            sources.insert(Array(frame[26..<30]))
        }
        #expect(sources.count > 90)
    }

    @Test func `a fixed DSCP replaces the inner one and keeps its ECN bits`() {
        var plan = PlanFixture.plan(.dsr)
        plan.encapsulation.dscp = 46
        let harness = PipelineHarness(plan)
        for ecn in 0...3 as ClosedRange<UInt8> {
            let frame = harness.send(PacketBuilder().with { $0.typeOfService = 0xf0 | ecn }.frame)
                .frame
            #expect(frame[15] == 46 << 2 | ecn)
        }
    }

    @Test func `the frame goes to the backend's hardware address from ours`() {
        let harness = PipelineHarness(PlanFixture.plan(.dsr))
        let frame = harness.send(PacketBuilder().frame).frame
        #expect(Array(frame[0..<5]) == [2, 0, 0, 0, 1])
        #expect(Array(frame[6..<12]) == [2, 0, 0, 0, 0, 1])
        let backend = frame[5]
        #expect(Array(frame[30..<34]) == [20, 1, 1, (backend + 1) * 10])
    }

    @Test func `IP options travel inside and are not copied out`() {
        let harness = PipelineHarness(PlanFixture.plan(.dsr))
        let packet = PacketBuilder().with { $0.options = [7, 7, 4, 0, 0, 0, 0, 0] }
        let outcome = harness.send(packet.frame)
        Self.checkOuter(
            outcome.frame, inner: packet.packet, typeOfService: 0, dontFragment: true)
    }
}
