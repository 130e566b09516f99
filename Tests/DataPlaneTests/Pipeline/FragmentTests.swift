// SPDX-License-Identifier: Apache-2.0
import DataPlane
import TestSupport
import Testing

/// Fragments: all of a packet to one server, or none.
@Suite struct FragmentTests {
    private static func datagram(_ client: String, _ vip: String) -> PacketBuilder {
        PacketBuilder().with {
            $0.source = client
            $0.destination = vip
            $0.tcpFlags = nil
            $0.destinationPort = 53
            $0.payload = (0..<1000).map { UInt8(truncatingIfNeeded: $0) }
        }
    }

    private static let both = [
        datagram("10.0.0.9", "40.1.1.1"), datagram("2001:db8:9::9", "2001:db8:40::1"),
    ]
    private static let translated = [
        datagram("10.0.0.9", "40.1.1.2"), datagram("2001:db8:9::9", "2001:db8:40::2"),
    ]

    @Test(arguments: 0..<2)
    func `in order they follow the first one, unchanged inside`(_ index: Int) {
        let harness = PipelineHarness(PlanFixture.mixedPlan(dsrBackends: [0]))
        let pieces = Self.both[index].fragments(of: 400)
        let outcomes = harness.send(pieces)
        #expect(outcomes.allSatisfy { $0.verdict == .transmit })
        for (piece, outcome) in zip(pieces, outcomes) {
            #expect(Array(outcome.frame[30..<34]) == [20, 1, 1, 10])
            #expect(Array(outcome.frame[34...]) == Array(piece[14...]))
        }
    }

    @Test(arguments: 0..<2)
    func `out of order none is forwarded, and the next packet is`(_ index: Int) {
        let harness = PipelineHarness(PlanFixture.mixedPlan())
        let pieces = Self.both[index].fragments(of: 400)
        for order in [[1, 0, 2], [2, 1, 0]] {
            for piece in order {
                #expect(harness.send(pieces[piece]).verdict == .drop(.fragment))
            }
            harness.now += 15_000
        }
        let next = Self.both[index].with { $0.identification = 77 }
        #expect(harness.send(next.fragments(of: 400)).allSatisfy { $0.verdict == .transmit })
    }

    @Test(arguments: 0..<2)
    func `snat translates all of them alike, both ways`(_ index: Int) {
        let harness = PipelineHarness(PlanFixture.mixedPlan())
        let packet = Self.translated[index]
        let sent = harness.send(packet.fragments(of: 400))
        #expect(sent.allSatisfy { $0.verdict == .transmit })
        let isIPv6 = packet.source.contains(":")
        let addresses = isIPv6 ? 22..<54 : 26..<34
        #expect(Set(sent.map { Array($0.frame[addresses]) }).count == 1)
        let whole = Self.reassembled(sent.map(\.frame), isIPv6: isIPv6)
        #expect(SlowChecksum.ofTransport(whole) == 0)
        let port = UInt16(whole[isIPv6 ? 40 : 20]) << 8 | UInt16(whole[isIPv6 ? 41 : 21])

        let answer = packet.with {
            $0.source = isIPv6 ? "2001:db8:20::20" : "20.1.1.20"
            $0.destination = isIPv6 ? "2001:db8:20::2" : "20.1.1.2"
            $0.sourcePort = 53
            $0.destinationPort = port
        }
        let back = harness.send(answer.fragments(of: 400))
        #expect(back.allSatisfy { $0.verdict == .transmit })
        let received = Self.reassembled(back.map(\.frame), isIPv6: isIPv6)
        #expect(SlowChecksum.ofTransport(received) == 0)
        #expect(
            Array(received[(isIPv6 ? 8..<40 : 12..<20)])
                == PlanFixture.address(packet.destination).bytes
                + PlanFixture.address(packet.source).bytes)
    }

    /// The packet that a receiver makes of its fragments, in order.
    private static func reassembled(_ frames: [[UInt8]], isIPv6: Bool) -> [UInt8] {
        let skip = isIPv6 ? 48 : 20
        var packet = Array(frames[0][14..<(14 + (isIPv6 ? 40 : 20))])
        for frame in frames { packet += frame[(14 + skip)...] }
        let length = isIPv6 ? packet.count - 40 : packet.count
        let place = isIPv6 ? 4 : 2
        packet[place] = UInt8(length / 256)
        packet[place + 1] = UInt8(length % 256)
        if isIPv6 { packet[6] = 17 }
        return packet
    }

    @Test func `by configuration all are dropped`() {
        var plan = PlanFixture.mixedPlan()
        plan.tracksFragments = false
        let harness = PipelineHarness(plan)
        for packet in Self.both + Self.translated {
            let outcomes = harness.send(packet.fragments(of: 400))
            #expect(outcomes.allSatisfy { $0.verdict == .drop(.fragment) })
        }
    }

    @Test func `a later one is never steered by what reads as ports`() {
        let harness = PipelineHarness(PlanFixture.mixedPlan())
        var decoy = Self.both[0].fragments(of: 400)[1]
        // A UDP header for port 53 in its data.
        decoy.replaceSubrange(34..<42, with: [0x11, 0x5c, 0, 53, 0, 20, 0, 0])
        #expect(harness.send(decoy).verdict == .drop(.fragment))
    }

    @Test func `what no sender makes is dropped`() {
        let harness = PipelineHarness(PlanFixture.mixedPlan())
        let tcp = PacketBuilder()
        // A first one without the flags; TCP data at offset 8; no data; over 65 535 bytes.
        let tiny = tcp.fragments(of: 8)
        #expect(harness.send(tiny[0]).verdict == .drop(.fragment))
        #expect(harness.send(tiny[1]).verdict == .drop(.fragment))
        for fragment in [0x2000, 0x1fff] as [UInt16] {
            let packet = tcp.with {
                $0.fragment = fragment
                $0.payload = fragment == 0x2000 ? [1] : [UInt8](repeating: 0, count: 100)
            }
            #expect(harness.send(packet.frame).verdict == .drop(.fragment))
        }
    }

    @Test func `one worker keeps each packet, and hands replies on to the owner of the port`() {
        var plan = PlanFixture.mixedPlan()
        plan.workerCount = 2
        let workers = (0..<2).map { PipelineHarness(plan, worker: $0, portsPerAddress: 32768) }
        func run(_ frame: [UInt8], at start: Int) -> (worker: Int, Verdict, [UInt8]) {
            var worker = start
            var isHandedOver = false
            for _ in 0..<4 {
                let outcome = workers[worker].send(frame, isHandedOver: isHandedOver)
                guard case .handOff(let next) = outcome.verdict else {
                    return (worker, outcome.verdict, outcome.frame)
                }
                worker = Int(next)
                isHandedOver = true
            }
            return (worker, .undecided, [])
        }
        for identification in 0..<20 as Range<UInt16> {
            let packet = Self.translated[0].with {
                $0.identification = identification
                $0.sourcePort = 5000 + identification
            }
            let sent = packet.fragments(of: 400).enumerated().map {
                run($0.element, at: $0.offset % 2)
            }
            #expect(sent.allSatisfy { $0.1 == .transmit })
            #expect(Set(sent.map(\.worker)).count == 1)
            let port = UInt16(sent[0].2[34]) << 8 | UInt16(sent[0].2[35])
            let answer = packet.with {
                $0.source = "20.1.1.20"
                $0.destination = "20.1.1.2"
                $0.sourcePort = 53
                $0.destinationPort = port
                $0.identification = identification &* 3
            }
            let back = answer.fragments(of: 400).enumerated().map {
                run($0.element, at: $0.offset % 2)
            }
            #expect(back.allSatisfy { $0.1 == .transmit })
            #expect(Set(back.map(\.worker)) == [sent[0].worker])
        }
        #expect(workers.allSatisfy { $0.chunksHeld == 0 })
    }

    @Test func `orphans do not hold up others, and memory is bounded`() {
        let harness = PipelineHarness(PlanFixture.mixedPlan())
        for index in 0..<20_000 {
            let orphan = Self.both[0].with {
                $0.identification = UInt16(truncatingIfNeeded: index)
                $0.source = "10.0.\(index >> 8 & 255).9"
            }
            #expect(harness.send(orphan.fragments(of: 400)[2]).verdict == .drop(.fragment))
        }
        #expect(harness.send(PacketBuilder().frame).verdict == .transmit)
    }
}
