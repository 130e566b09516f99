// SPDX-License-Identifier: Apache-2.0
import DataPlane
import TestSupport
import Testing

/// How long connections live, and what ends them.
@Suite struct ConnectionLifeTests {
    private static let syn = PacketBuilder()
    private static let ack = PacketBuilder().with { $0.tcpFlags = 0x10 }
    private static let fin = PacketBuilder().with { $0.tcpFlags = 0x11 }
    private static let udp = PacketBuilder().with {
        $0.tcpFlags = nil
        $0.destinationPort = 53
    }

    /// Lets the sweep pass every entry.
    private static func sweep(_ harness: PipelineHarness) {
        for _ in 0..<12 {
            harness.now &+= 500
            _ = harness.maintain()
        }
    }

    private static func remap(_ plan: inout ForwardingPlan, to backend: UInt16) {
        let address = plan.backends[Int(backend)].address
        plan.services[0].maglev = MaglevTable(
            members: [
                .init(endpoint: Endpoint(address: address, port: nil), weight: 1, backend: backend)
            ], size: 251, key: PlanFixture.key)
    }

    private static func backend(of outcome: PipelineHarness.Outcome) -> UInt8 { outcome.frame[33] }

    @Test func `a tracked connection keeps its backend when the table changes, a new one does not`()
    {
        let harness = PipelineHarness(PlanFixture.plan(.dsr))
        harness.publish { Self.remap(&$0, to: 0) }
        _ = harness.send([Self.syn.frame, Self.ack.frame])
        harness.publish { Self.remap(&$0, to: 1) }
        #expect(Self.backend(of: harness.send(Self.ack.frame)) == 10)
        let other = Self.syn.with { $0.sourcePort = 5555 }
        #expect(Self.backend(of: harness.send(other.frame)) == 20)
    }

    @Test func `a table change between SYN and ACK does not move the handshake`() {
        let harness = PipelineHarness(PlanFixture.plan(.dsr))
        harness.publish { Self.remap(&$0, to: 0) }
        _ = harness.send(Self.syn.frame)
        harness.publish { Self.remap(&$0, to: 1) }
        #expect(Self.backend(of: harness.send(Self.ack.frame)) == 10)
    }

    @Test func `a client that uses its port again after closing gets a new connection at once`() {
        let harness = PipelineHarness(PlanFixture.plan(.dsr))
        harness.publish { Self.remap(&$0, to: 0) }
        _ = harness.send([Self.syn.frame, Self.ack.frame, Self.fin.frame])
        harness.publish { Self.remap(&$0, to: 1) }
        #expect(Self.backend(of: harness.send(Self.ack.frame)) == 10)
        #expect(Self.backend(of: harness.send(Self.syn.frame)) == 20)
        #expect(harness.connectionCount == 1)
    }

    @Test(arguments: [ForwardingMode.dsr, .snat])
    func `a SYN again leaves a backend that does not answer, and nothing else does`(
        mode: ForwardingMode
    ) {
        let harness = PipelineHarness(PlanFixture.plan(mode))
        harness.publish { Self.remap(&$0, to: 0) }
        _ = harness.send([Self.syn.frame, Self.ack.frame])
        harness.publish { plan in
            Self.remap(&plan, to: 1)
            plan.backends[0].admits = .trackedConnections
        }
        #expect(Self.backend(of: harness.send(Self.syn.frame)) == 10, "a draining backend answers")
        harness.publish { $0.backends[0].admits = .unansweredConnections }
        #expect(Self.backend(of: harness.send(Self.ack.frame)) == 10)
        #expect(Self.backend(of: harness.send(Self.syn.frame)) == 20)
        #expect(Self.backend(of: harness.send(Self.ack.frame)) == 20)
        #expect(harness.connectionCount == 1)
    }

    @Test func `each connection ends in the mode it began in`() {
        let harness = PipelineHarness(PlanFixture.plan(.snat))
        _ = harness.send(Self.syn.frame)
        harness.publish { $0.services[0].mode = .dsr }
        #expect(harness.send(Self.ack.frame).frame[23] == 6)
        #expect(harness.send(Self.syn.with { $0.sourcePort = 5555 }.frame).frame[23] == 4)
    }

    @Test(
        arguments: [
            (
                "an established TCP connection outlives 7439 s and not 8001 s", 7_439_000,
                8_001_000, 0
            ),
            ("a half-open one outlives 239 s and not 241 s", 239_000, 241_000, 1),
            ("a closing one outlives 239 s and not 241 s", 239_000, 241_000, 2),
            ("UDP outlives 299 s and not 301 s", 299_000, 301_000, 3),
        ] as [(String, UInt32, UInt32, Int)])
    func `idle timeouts go by protocol and state, also when the tick wraps`(
        _ sentence: String, _ alive: UInt32, _ dead: UInt32, _ kind: Int
    ) {
        for start in [1_000_000, .max - 100_000] as [UInt32] {
            let harness = PipelineHarness(PlanFixture.plan(.dsr))
            harness.now = start
            _ = harness.maintain()
            let frames = [
                [Self.syn.frame, Self.ack.frame], [Self.syn.frame],
                [Self.syn.frame, Self.ack.frame, Self.fin.frame], [Self.udp.frame],
            ]
            _ = harness.send(frames[kind])
            harness.now = start &+ alive &- 6000
            Self.sweep(harness)
            #expect(harness.connectionCount == 1, "\(sentence)")
            harness.now = start &+ dead
            Self.sweep(harness)
            #expect(harness.connectionCount == 0, "\(sentence)")
            #expect(harness.counters[service: 0, .connections] == 0)
        }
    }

    @Test func `traffic keeps a connection alive`() {
        let harness = PipelineHarness(PlanFixture.plan(.dsr))
        _ = harness.send(Self.udp.frame)
        for _ in 0..<5 {
            harness.now += 200_000
            Self.sweep(harness)
            _ = harness.send(Self.udp.frame)
        }
        #expect(harness.connectionCount == 1)
    }

    @Test func `a draining backend keeps its connections, a disabled one loses them`() {
        let harness = PipelineHarness(PlanFixture.plan(.dsr))
        harness.publish { Self.remap(&$0, to: 0) }
        _ = harness.send([Self.syn.frame, Self.ack.frame])
        harness.publish {
            $0.backends[0].admits = .trackedConnections
            Self.remap(&$0, to: 1)
        }
        #expect(Self.backend(of: harness.send(Self.ack.frame)) == 10)
        harness.publish { $0.backends[0].admits = .nothing }
        #expect(Self.backend(of: harness.send(Self.ack.frame)) == 20)
        #expect(harness.counters[.evictionsFlush] == 1)
    }

    @Test func `a backend that took over a number does not get the old one's connections`() {
        let harness = PipelineHarness(PlanFixture.plan(.dsr))
        harness.publish { Self.remap(&$0, to: 0) }
        _ = harness.send([Self.syn.frame, Self.ack.frame])
        harness.publish {
            $0.backends[0].epoch = 1
            Self.remap(&$0, to: 1)
        }
        #expect(Self.backend(of: harness.send(Self.ack.frame)) == 20)
    }

    @Test func `connections of a deleted service end with the sweep`() {
        let harness = PipelineHarness(PlanFixture.plan(.dsr))
        _ = harness.send([Self.syn.frame, Self.udp.frame])
        harness.publish { $0.services = [] }
        #expect(harness.send(Self.ack.frame).verdict == .drop(.noService))
        Self.sweep(harness)
        #expect(harness.connectionCount == 0)
    }

    @Test func `without an eligible backend new flows are dropped`() {
        let harness = PipelineHarness(PlanFixture.plan(.dsr))
        harness.publish {
            $0.services[0].maglev = MaglevTable(members: [], size: 251, key: PlanFixture.key)
        }
        #expect(harness.send(Self.syn.frame).verdict == .drop(.noBackend))
    }

    @Test func `in a SYN flood the established stay, and dsr goes on without entries`() {
        let harness = PipelineHarness(PlanFixture.plan(.dsr), connections: 1024)
        let established = (0..<500).map { index in
            Self.ack.with { $0.sourcePort = 10_000 + UInt16(index) }.frame
        }
        _ = harness.send(established)
        let flood = (0..<20_000).map { index in
            Self.syn.with {
                $0.source = "10.7.\(index / 250).\(index % 250 + 1)"
                $0.sourcePort = UInt16(truncatingIfNeeded: index &* 7 &+ 1025)
            }.frame
        }
        #expect(harness.send(flood).allSatisfy { $0.verdict == .transmit })
        var filter = ConnectionFilter()
        filter.state = .established
        #expect(harness.scan(filter).matched == 500)
        filter.state = .opening
        #expect(harness.scan(filter).matched == 1024 / 8)
        #expect(harness.chunksHeld == 0)
    }

    /// Takes `snat` connections through their handshakes.
    private static func establish(_ count: Int, in harness: PipelineHarness) {
        for index in 0..<count {
            let own = syn.with { $0.sourcePort = 10_000 + UInt16(index) }
            let out = harness.send(own.frame).frame
            _ = harness.send(PacketBuilder.answer(to: out, flags: 0x12).frame)
            _ = harness.send(own.with { $0.tcpFlags = 0x10 }.frame)
        }
    }

    @Test func `in snat half-open entries make room for one another and never for the established`()
    {
        let harness = PipelineHarness(PlanFixture.plan(.snat), connections: 1024)
        Self.establish(400, in: harness)
        let flood = (0..<5000).map { index in
            Self.syn.with { $0.source = "10.7.\(index / 250).\(index % 250 + 1)" }.frame
        }
        _ = harness.send(flood)
        var filter = ConnectionFilter()
        filter.state = .established
        #expect(harness.scan(filter).matched == 400)
        #expect(harness.connectionCount <= 1024)
        #expect(harness.counters[.evictionsPressure] > 0)
        #expect(
            harness.counters[service: 0, .connections] == UInt64(harness.connectionCount))
    }

    @Test func `a flood of datagrams leaves room for others, and TCP in use stays`() {
        let harness = PipelineHarness(PlanFixture.plan(.snat), connections: 1024)
        Self.establish(100, in: harness)
        for index in 0..<5000 {
            harness.now &+= 1
            let datagram = Self.udp.with { $0.source = "10.7.\(index / 250).\(index % 250 + 1)" }
            #expect(harness.send(datagram.frame).verdict == .transmit, "datagram \(index)")
        }
        let late = (0..<50).map { index in
            Self.syn.with { $0.source = "10.8.0.\(index + 1)" }.frame
        }
        #expect(harness.send(late).allSatisfy { $0.verdict == .transmit })
        var filter = ConnectionFilter()
        filter.state = .established
        #expect(harness.scan(filter).matched == 100)
        #expect(harness.connectionCount <= 1024)
        #expect(harness.counters[.evictionsPressure] > 0)
    }

    @Test func `connections are found by the SNAT address that they have a port of`() {
        let harness = PipelineHarness(PlanFixture.plan(.snat))
        _ = harness.send(Self.syn.frame)
        var filter = ConnectionFilter()
        filter.snatAddress = 0
        #expect(harness.scan(filter).matched == 1)
        filter.snatAddress = 1
        #expect(harness.scan(filter).matched == 0)
        // Those of dsr have none, whatever the number in their entry.
        let direct = PipelineHarness(PlanFixture.plan(.dsr))
        _ = direct.send(Self.ack.frame)
        filter.snatAddress = 0
        #expect(direct.scan(filter).matched == 0 && direct.connectionCount == 1)
    }

    @Test func `a flush ends what it matches, counts it and frees its ports`() {
        let harness = PipelineHarness(PlanFixture.plan(.snat, backends: 1, ports: [5000...5009]))
        _ = harness.send(
            (0..<10).map { index in
                Self.syn.with { $0.sourcePort = 3000 + UInt16(index) }.frame
            })
        #expect(harness.scan(.init(), .flush).matched == 10)
        #expect(harness.connectionCount == 0)
        let again = harness.send(
            (0..<10).map { index in
                Self.syn.with { $0.sourcePort = 4000 + UInt16(index) }.frame
            })
        #expect(again.allSatisfy { $0.verdict == .transmit })
    }
}
