// SPDX-License-Identifier: Apache-2.0
import DataPlane
import TestSupport
import Testing

/// VIPs and backends of both families, in `dsr` in every combination.
@Suite struct FamilyTests {
    struct Pair: CustomTestStringConvertible, Sendable {
        var client: String
        var vip: String
        var backend: UInt16
        var testDescription: String { "\(vip) to backend \(backend)" }
    }

    private static let pairs = [
        Pair(client: "10.0.0.9", vip: "40.1.1.1", backend: 0),
        Pair(client: "10.0.0.9", vip: "40.1.1.1", backend: 1),
        Pair(client: "2001:db8:9::9", vip: "2001:db8:40::1", backend: 0),
        Pair(client: "2001:db8:9::9", vip: "2001:db8:40::1", backend: 1),
    ]

    private static func packet(_ pair: Pair) -> PacketBuilder {
        PacketBuilder().with {
            $0.source = pair.client
            $0.destination = pair.vip
            $0.typeOfService = 0xb9
        }
    }

    @Test(arguments: pairs)
    func `the outer header is of the backend's family, the protocol names the inner one`(
        _ pair: Pair
    ) throws {
        let harness = PipelineHarness(PlanFixture.mixedPlan(dsrBackends: [pair.backend]))
        let packet = Self.packet(pair)
        let outcome = harness.send(packet.with { $0.trailer = [1, 2, 3] }.frame)
        #expect(outcome.verdict == .transmit)
        let outer = Array(outcome.frame[14...])
        let inner: UInt8 = pair.vip.contains(":") ? 41 : 4
        if pair.backend == 0 {
            #expect(Array(outcome.frame[12..<14]) == [8, 0])
            #expect(outer[0] == 0x45 && outer[1] == 0xb9 && outer[8] == 64 && outer[9] == inner)
            #expect(SlowChecksum.of(Array(outer[..<20])) == 0)
            #expect(Array(outer[12..<20]) == [20, 1, 1, 1, 20, 1, 1, 10])
            #expect(Array(outer[20...]) == packet.packet)
        } else {
            #expect(Array(outcome.frame[12..<14]) == [0x86, 0xdd])
            #expect(outer[0] == 0x6b && outer[1] & 0xf0 == 0x90)
            #expect(outer[6] == inner && outer[7] == 64)
            #expect(Int(outer[4]) * 256 + Int(outer[5]) == packet.packet.count)
            #expect(Array(outer[8..<24]) == PlanFixture.address("2001:db8:20::1").bytes)
            #expect(Array(outer[24..<40]) == PlanFixture.address("2001:db8:20::10").bytes)
            #expect(Array(outer[40...]) == packet.packet)
        }
    }

    @Test(arguments: pairs)
    func `a packet that just fits is sent, one byte more is answered with the size that does`(
        _ pair: Pair
    ) {
        let harness = PipelineHarness(PlanFixture.mixedPlan(dsrBackends: [pair.backend]))
        let overhead = pair.backend == 0 ? 20 : 40
        let isIPv6 = pair.vip.contains(":")
        let headers = (isIPv6 ? 40 : 20) + 20
        let fits = Self.packet(pair).with {
            $0.payload = [UInt8](repeating: 7, count: 1500 - overhead - headers)
        }
        #expect(harness.send(fits.frame).frame.count == 14 + 1500)
        let over = fits.with { $0.payload.append(7) }
        let outcome = harness.send(over.frame)
        #expect(outcome.verdict == .transmit)
        #expect(harness.counters[.tooBig] == 1 && harness.counters[.refusals] == 1)
        #expect(harness.counters[isIPv6 ? .tooBigSentIPv6 : .tooBigSentIPv4] == 1)
        #expect(harness.counters[isIPv6 ? .tooBigSentIPv4 : .tooBigSentIPv6] == 0)
        let error = Array(outcome.frame[14...])
        let header = isIPv6 ? 40 : 20
        #expect(error.count == (isIPv6 ? 1280 : 576))
        let message = Array(error[header...])
        #expect(Array(message[..<2]) == (isIPv6 ? [2, 0] : [3, 4]))
        #expect(Int(message[6]) * 256 + Int(message[7]) == 1500 - overhead)
        #expect(Array(message[8...]) == Array(over.packet[..<(message.count - 8)]))
        #expect((isIPv6 ? SlowChecksum.ofTransport(error) : SlowChecksum.of(message)) == 0)
        // From the VIP to the client.
        let addresses = isIPv6 ? error[8..<40] : error[12..<20]
        #expect(
            Array(addresses)
                == PlanFixture.address(pair.vip).bytes + PlanFixture.address(pair.client).bytes)
    }

    @Test func `a mixed service spreads over backends of both families`() {
        let harness = PipelineHarness(PlanFixture.mixedPlan())
        var types: Set<[UInt8]> = []
        for port in 1000..<1050 as Range<UInt16> {
            let packet = Self.packet(Self.pairs[3]).with { $0.sourcePort = port }
            types.insert(Array(harness.send(packet.frame).frame[12..<14]))
        }
        #expect(types.count == 2)
    }

    @Test(arguments: [nil, 53] as [UInt16?])
    func `snat over IPv6 translates both ways with right checksums`(_ port: UInt16?) throws {
        let harness = PipelineHarness(PlanFixture.mixedPlan())
        for length in Array(0...33) + [1000, 1419] {
            let packet = PacketBuilder().with {
                $0.source = "2001:db8:9::9"
                $0.destination = "2001:db8:40::2"
                if let port {
                    $0.destinationPort = port
                    $0.tcpFlags = nil
                }
                $0.payload = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ length) }
            }
            let forward = harness.send(packet.frame)
            #expect(forward.verdict == .transmit)
            let sent = Array(forward.frame[14...])
            #expect(SlowChecksum.ofTransport(sent) == 0 && sent[7] == 63)
            #expect(Array(sent[8..<24]) == PlanFixture.address("2001:db8:20::2").bytes)
            #expect(Array(sent[24..<40]) == PlanFixture.address("2001:db8:20::20").bytes)
            let answer = packet.with {
                $0.source = "2001:db8:20::20"
                $0.destination = "2001:db8:20::2"
                $0.sourcePort = port ?? 80
                $0.destinationPort = UInt16(sent[40]) << 8 | UInt16(sent[41])
                if port == nil { $0.tcpFlags = 0x12 }
            }
            let back = Array(harness.send(answer.frame).frame[14...])
            #expect(SlowChecksum.ofTransport(back) == 0)
            #expect(
                Array(back[8..<40])
                    == PlanFixture.address("2001:db8:40::2").bytes
                    + PlanFixture.address("2001:db8:9::9").bytes)
            #expect(Array(back[42..<44]) == [0x11, 0x5c])
        }
    }

    @Test func `UDP over IPv6 without a checksum is not translated`() {
        let harness = PipelineHarness(PlanFixture.mixedPlan())
        let packet = PacketBuilder().with {
            $0.source = "2001:db8:9::9"
            $0.destination = "2001:db8:40::2"
            $0.destinationPort = 53
            $0.tcpFlags = nil
            $0.omitsUDPChecksum = true
        }
        #expect(harness.send(packet.frame).verdict == .drop(.badChecksum))
    }

    @Test func `frames carry the VLAN of the link, and others are not ours`() {
        var plan = PlanFixture.mixedPlan(dsrBackends: [1])
        plan.link.vlan = 100
        let harness = PipelineHarness(plan)
        let packet = Self.packet(Self.pairs[1])
        let tagged = packet.with { $0.vlan = 100 }
        let frame = harness.send(tagged.frame).frame
        #expect(Array(frame[12..<18]) == [0x81, 0, 0, 100, 0x86, 0xdd])
        #expect(Array(frame[58...]) == packet.packet)
        for other in [packet, packet.with { $0.vlan = 101 }] {
            #expect(harness.steer(other.frame) == .pass)
            #expect(harness.send(other.frame).verdict == .drop(.notIP))
        }
        #expect(harness.steer(tagged.frame) == .redirect)
    }
}
