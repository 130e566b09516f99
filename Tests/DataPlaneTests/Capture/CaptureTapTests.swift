// SPDX-License-Identifier: Apache-2.0
import DataPlane
import TestSupport
import Testing

/// What is captured of frames that pass the pipeline.
@Suite struct CaptureTapTests {
    private static func settings(
        snapLength: Int = 2048, _ change: (inout CaptureFilter) -> Void = { _ in }
    ) -> CaptureSettings {
        var filter = CaptureFilter()
        change(&filter)
        return CaptureSettings(filter: filter, snapLength: snapLength)
    }

    private static func pairs(_ ring: CaptureRing) -> [CapturedPair] {
        Array(sequence(state: ring) { $0.next() })
    }

    private static func client(_ port: UInt16, flags: UInt8 = 2) -> [UInt8] {
        PacketBuilder().with {
            $0.sourcePort = port
            $0.tcpFlags = flags
        }.frame
    }

    @Test(arguments: [ForwardingMode.dsr, .snat])
    func `both copies are the frames as they came and as they left`(mode: ForwardingMode) {
        let harness = PipelineHarness(PlanFixture.plan(mode))
        let ring = harness.capture(Self.settings())
        let frames = (0..<150).map { Self.client(UInt16(2000 + $0)) }
        let outcomes = harness.send(frames)
        let pairs = Self.pairs(ring)
        #expect(pairs.map(\.received) == frames)
        #expect(pairs.map(\.sent) == outcomes.map(\.frame))
        #expect(pairs.allSatisfy { $0.record.outcome == .sent && $0.record.lookup == .miss })
        #expect(pairs.allSatisfy { $0.record.service == 0 && $0.record.backend != nil })
        #expect(pairs.allSatisfy { $0.record.receivedLength == UInt32($0.received.count) })
        #expect(pairs.allSatisfy { $0.record.sentLength == UInt32($0.sent.count) })
        #expect(pairs.allSatisfy { $0.record.sentAt > $0.record.receivedAt })
        // The second packet of each connection finds it.
        _ = harness.send(frames.indices.map { Self.client(UInt16(2000 + $0), flags: 16) })
        #expect(Self.pairs(ring).allSatisfy { $0.record.lookup == .hit })
    }

    @Test func `replies of backends are captured with the connection's service and backend`() {
        let harness = PipelineHarness(PlanFixture.plan(.snat, backends: 1))
        let sent = harness.send(Self.client(4444)).frame
        let ring = harness.capture(Self.settings())
        let reply = PacketBuilder.answer(to: sent, flags: 18).frame
        for _ in 0..<2 {
            let out = harness.send(reply).frame
            let pair = Self.pairs(ring)
            #expect(pair.count == 1)
            #expect(pair[0].received == reply && pair[0].sent == out)
            #expect(pair[0].record.service == 0 && pair[0].record.backend == 0)
            #expect(pair[0].record.lookup == .hit)
        }
    }

    @Test func `a snap length cuts the copies and not the lengths that are told`() {
        let harness = PipelineHarness(PlanFixture.plan(.dsr))
        let ring = harness.capture(Self.settings(snapLength: 40))
        let frame = PacketBuilder().with { $0.payload = [UInt8](repeating: 9, count: 900) }.frame
        let sent = harness.send(frame).frame
        let pair = Self.pairs(ring)[0]
        #expect(pair.received == Array(frame[..<40]) && pair.sent == Array(sent[..<40]))
        #expect(pair.record.receivedLength == UInt32(frame.count))
        #expect(pair.record.sentLength == UInt32(sent.count))
    }

    @Test func `a dropped frame is captured once, with its reason`() {
        var plan = PlanFixture.plan(.dsr)
        plan.services[0].sourceRanges = [IPPrefix("192.168.0.0/16")].compactMap { $0 }
        let harness = PipelineHarness(plan)
        let ring = harness.capture(Self.settings())
        let outside = PacketBuilder().frame
        let elsewhere = PacketBuilder().with { $0.destinationPort = 81 }.frame
        var broken = PacketBuilder().frame
        broken[24] ^= 1
        _ = harness.send([outside, elsewhere, broken])
        let pairs = Self.pairs(ring)
        #expect(pairs.map(\.received) == [outside, elsewhere, broken])
        #expect(pairs.map(\.record.reason) == [.policy, .noService, .badChecksum])
        #expect(pairs.map(\.record.service) == [0, nil, nil])
        #expect(pairs.allSatisfy { $0.sent.isEmpty && $0.record.outcome == .dropped })
    }

    @Test func `a frame that is too big is captured with the answer to its sender`() {
        let harness = PipelineHarness(PlanFixture.plan(.dsr))
        let ring = harness.capture(Self.settings { $0.reason = .tooBig })
        let frame = PacketBuilder().with { $0.payload = [UInt8](repeating: 9, count: 1460) }.frame
        let answer = harness.send([Self.client(1), frame])[1]
        let pairs = Self.pairs(ring)
        #expect(pairs.count == 1)
        #expect(pairs[0].received == frame && pairs[0].sent == answer.frame)
        #expect(pairs[0].record.reason == .tooBig && pairs[0].record.outcome == .refused)
    }

    @Test func `what the TX ring does not take is captured as dropped`() {
        let harness = PipelineHarness(PlanFixture.plan(.dsr))
        let ring = harness.capture(Self.settings())
        harness.transmitRoom = 2
        _ = harness.send((1...4).map { Self.client($0) })
        let pairs = Self.pairs(ring)
        #expect(pairs.map(\.record.outcome) == [.sent, .sent, .dropped, .dropped])
        #expect(pairs.map(\.record.reason) == [nil, nil, .txFull, .txFull])
        #expect(pairs[2].sent.isEmpty && pairs[3].sent.isEmpty)
    }

    @Test func `a frame for another worker is captured there, unless it is lost on the way`() {
        let plan = PlanFixture.plan(.snat, backends: 1, workers: 2)
        let harness = PipelineHarness(plan, portsPerAddress: 65536)
        let ring = harness.capture(Self.settings())
        // Of all ports of the address some belong to the other worker.
        let replies = stride(from: 1024, to: 65_000, by: 1000).map { port in
            PacketBuilder().with {
                $0.source = "20.1.1.10"
                $0.destination = "20.1.1.1"
                $0.sourcePort = 80
                $0.destinationPort = UInt16(port)
                $0.tcpFlags = 16
            }.frame
        }
        let given = harness.send(replies).count {
            if case .handOff = $0.verdict { true } else { false }
        }
        #expect(given > 0 && given < replies.count)
        #expect(Self.pairs(ring).count == replies.count - given)
        harness.handOffsAreLost = true
        _ = harness.send(replies)
        #expect(Self.pairs(ring).count { $0.record.reason == .txFull } == given)
    }

    @Test func `a frame that waits for its next hop is captured as it came`() {
        var plan = PlanFixture.plan(.dsr, backends: 1)
        plan.nextHops[1].mac = nil
        let harness = PipelineHarness(plan)
        let ring = harness.capture(Self.settings())
        _ = harness.send(Self.client(1))
        let pairs = Self.pairs(ring)
        #expect(pairs.count == 1 && pairs[0].record.outcome == .waiting)
        #expect(pairs[0].received == Self.client(1) && pairs[0].sent.isEmpty)
    }

    /// What a filter takes of five packets: SYNs of two clients to the service, a later segment of
    /// the first, a datagram of the first, and a SYN to a port without service.
    struct FilterCase: CustomTestStringConvertible {
        var testDescription: String
        var taken: [Int]
        var filter: CaptureFilter

        init(_ text: String, _ taken: [Int], _ change: (inout CaptureFilter) -> Void) {
            testDescription = text
            self.taken = taken
            filter = CaptureFilter()
            change(&filter)
        }
    }

    @Test(arguments: [
        FilterCase("everything", [0, 1, 2, 3, 4]) { _ in },
        FilterCase("of the service", [0, 1, 2, 3]) { $0.service = 0 },
        FilterCase("of a service that is not there", []) { $0.service = 9 },
        FilterCase("of the one backend", [0, 1, 2, 3]) { $0.backend = 0 },
        FilterCase("of another backend", []) { $0.backend = 1 },
        FilterCase("of a client", [0, 2, 3, 4]) { $0.client = PlanFixture.address("10.0.0.9") },
        FilterCase("with SYN", [0, 1, 4]) { $0.isOnlySYN = true },
        FilterCase("dropped for a reason", [4]) { $0.reason = .noService },
        FilterCase("dropped for another reason", []) { $0.reason = .policy },
        FilterCase("dropped", [4]) { $0.points = .dropped },
        FilterCase("sent", [0, 1, 2, 3]) { $0.points = .sent },
        FilterCase("received", [0, 1, 2, 3, 4]) { $0.points = .received },
        FilterCase("every second one", [0, 2, 4]) { $0.sampling = 2 },
        FilterCase("every second SYN", [0, 4]) {
            $0.isOnlySYN = true
            $0.sampling = 2
        },
    ])
    func `filters take what they say`(test: FilterCase) {
        let frames = [
            PacketBuilder(), PacketBuilder().with { $0.source = "10.0.0.7" },
            PacketBuilder().with { $0.tcpFlags = 16 },
            PacketBuilder().with {
                $0.tcpFlags = nil
                $0.destinationPort = 53
            }, PacketBuilder().with { $0.destinationPort = 81 },
        ].map(\.frame)
        let harness = PipelineHarness(PlanFixture.plan(.dsr, backends: 1))
        let ring = harness.capture(CaptureSettings(filter: test.filter, snapLength: 2048))
        let outcomes = harness.send(frames)
        let pairs = Self.pairs(ring)
        if test.filter.points == .sent {
            #expect(pairs.map(\.sent) == test.taken.map { outcomes[$0].frame })
            #expect(pairs.allSatisfy { $0.received.isEmpty })
        } else {
            #expect(pairs.map(\.received) == test.taken.map { frames[$0] })
        }
        if test.filter.points == .received { #expect(pairs.allSatisfy { $0.sent.isEmpty }) }
    }

    @Test func `a client's filter takes the replies to it as well`() {
        let harness = PipelineHarness(PlanFixture.plan(.snat, backends: 1))
        let sent = harness.send(Self.client(4444)).frame
        let reply = PacketBuilder.answer(to: sent, flags: 18).frame
        for (client, count) in [("10.0.0.9", 1), ("10.0.0.8", 0)] {
            let address = PlanFixture.address(client)
            let ring = harness.capture(Self.settings { $0.client = address })
            _ = harness.send(reply)
            #expect(Self.pairs(ring).count == count)
        }
    }
}
