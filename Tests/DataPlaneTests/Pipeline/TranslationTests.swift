// SPDX-License-Identifier: Apache-2.0
import DataPlane
import TestSupport
import Testing

/// `snat`: addresses and ports replaced both ways, checksums adjusted, nothing else touched.
@Suite struct TranslationTests {
    private static let tcp = PacketBuilder()
    private static let udp = PacketBuilder().with {
        $0.tcpFlags = nil
        $0.destinationPort = 53
    }

    /// The answer of the backend that a forwarded frame went to.
    private static func reply(to frame: [UInt8], _ change: (inout PacketBuilder) -> Void = { _ in })
        -> PacketBuilder
    {
        let ip = Array(frame[14...])
        func address(_ at: Int) -> String {
            ip[at..<at + 4].map(String.init).joined(separator: ".")
        }
        func port(_ at: Int) -> UInt16 { UInt16(ip[at]) << 8 | UInt16(ip[at + 1]) }
        return PacketBuilder().with {
            $0.source = address(16)
            $0.destination = address(12)
            $0.sourcePort = port(22)
            $0.destinationPort = port(20)
            $0.tcpFlags = ip[9] == 6 ? 0x12 : nil
            change(&$0)
        }
    }

    private static func checkValid(_ frame: [UInt8]) {
        let packet = Array(frame[14...])
        #expect(SlowChecksum.of(Array(packet[..<(Int(packet[0] & 15) * 4)])) == 0)
        #expect(SlowChecksum.ofTransport(packet) == 0)
    }

    @Test func `checksums are right both ways for every length, odd and even`() {
        let harness = PipelineHarness(PlanFixture.plan(.snat, port: 8080))
        for length in Array(0...64) + [511, 512, 1000, 1457, 1458, 1459, 1460] {
            for base in [Self.tcp, Self.udp] {
                let payload = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ length) }
                if base.tcpFlags == nil, length > 1472 { continue }
                let packet = base.with { $0.payload = payload }
                let forward = harness.send(packet.frame)
                #expect(forward.verdict == .transmit)
                Self.checkValid(forward.frame)
                let answer = harness.send(
                    Self.reply(to: forward.frame) { $0.payload = payload }.frame)
                #expect(answer.verdict == .transmit)
                Self.checkValid(answer.frame)
            }
        }
    }

    @Test func `the client sees the VIP answer, the backend sees the SNAT address ask`() {
        let harness = PipelineHarness(PlanFixture.plan(.snat, port: 8080))
        let forward = harness.send(Self.tcp.frame).frame
        #expect(Array(forward[26..<30]) == [20, 1, 1, 1])
        #expect(Array(forward[36..<38]) == [0x1f, 0x90])
        #expect(forward[22] == 63)
        let answer = harness.send(Self.reply(to: forward).frame).frame
        #expect(Array(answer[26..<34]) == [40, 1, 1, 1, 10, 0, 0, 9])
        #expect(Array(answer[34..<38]) == [0, 80, 0x11, 0x5c])
        // By the default route: the gateway's hardware address.
        #expect(Array(answer[0..<6]) == [2, 0, 0, 0, 0, 0xfe])
    }

    @Test func `nothing but addresses, ports, time to live and checksums changes`() {
        let harness = PipelineHarness(PlanFixture.plan(.snat))
        let packet = Self.tcp.with {
            $0.typeOfService = 0xb9
            $0.options = [7, 7, 4, 0, 0, 0, 0, 0]
            $0.payload = Array(0...200)
        }
        let before = packet.frame
        let after = harness.send(before).frame
        #expect(after.count == before.count)
        let mayChange = Set(
            Array(0..<12) + [22, 24, 25] + Array(26..<34) + Array(42..<46) + [58, 59])
        for index in before.indices where !mayChange.contains(index) {
            #expect(before[index] == after[index], "byte \(index)")
        }
    }

    @Test func `a UDP checksum of zero stays zero both ways`() {
        let harness = PipelineHarness(PlanFixture.plan(.snat))
        let packet = Self.udp.with { $0.omitsUDPChecksum = true }
        let forward = harness.send(packet.frame).frame
        #expect(Array(forward[40..<42]) == [0, 0])
        let answer = harness.send(Self.reply(to: forward) { $0.omitsUDPChecksum = true }.frame)
            .frame
        #expect(Array(answer[40..<42]) == [0, 0])
    }

    @Test func `a UDP checksum that computes to zero is sent as all ones`() {
        let harness = PipelineHarness(PlanFixture.plan(.snat))
        // Some two bytes of data make the translated sum come to zero: find them by trying.
        let first = harness.send(Self.udp.with { $0.payload = [0, 0] }.frame).frame
        let sum = UInt16(first[40]) << 8 | UInt16(first[41])
        let packet = Self.udp.with { $0.payload = [UInt8(sum >> 8), UInt8(sum & 255)] }
        let frame = harness.send(packet.frame).frame
        #expect(Array(frame[40..<42]) == [0xff, 0xff])
        Self.checkValid(frame)
    }

    @Test func `a wrong transport checksum stays wrong`() {
        let harness = PipelineHarness(PlanFixture.plan(.snat))
        for base in [Self.tcp, Self.udp] {
            var frame = base.frame
            frame[frame.count - 1] ^= 0x55
            let outcome = harness.send(frame)
            #expect(outcome.verdict == .transmit)
            #expect(SlowChecksum.ofTransport(Array(outcome.frame[14...])) != 0)
        }
    }

    @Test func `a packet that would leave with a time to live of zero is answered instead`() {
        let harness = PipelineHarness(PlanFixture.plan(.snat))
        for timeToLive in [0, 1] as [UInt8] {
            let packet = Self.tcp.with { $0.timeToLive = timeToLive }
            let error = Array(harness.send(packet.frame).frame[14...])
            #expect(Array(error[12..<22]) == [40, 1, 1, 1, 10, 0, 0, 9, 11, 0])
            #expect(Array(error[28...]) == packet.packet)
        }
        #expect(harness.counters[.ttlExpired] == 2)
        #expect(harness.send(Self.tcp.with { $0.timeToLive = 2 }.frame).frame[22] == 1)
    }

    @Test func `a flow keeps its port for life and shares it with no other`() {
        let harness = PipelineHarness(PlanFixture.plan(.snat))
        var seen: Set<[UInt8]> = []
        for port in 2000..<2500 as Range<UInt16> {
            let packet = Self.tcp.with { $0.sourcePort = port }
            let first = harness.send(packet.frame).frame
            let again = harness.send(packet.with { $0.tcpFlags = 0x10 }.frame).frame
            #expect(Array(first[26..<38]) == Array(again[26..<38]))
            #expect(seen.insert(Array(first[26..<38])).inserted)
        }
    }

    @Test func `mid-stream TCP and unknown replies are no connections`() {
        let harness = PipelineHarness(PlanFixture.plan(.snat))
        #expect(
            harness.send(Self.tcp.with { $0.tcpFlags = 0x10 }.frame).verdict == .drop(.noConnection)
        )
        let forward = harness.send(Self.tcp.frame).frame
        let unknown = Self.reply(to: forward) { $0.destinationPort &+= 1 }
        #expect(harness.send(unknown.frame).verdict == .drop(.noConnection))
        let stranger = Self.reply(to: forward) { $0.source = "20.1.1.77" }
        #expect(harness.send(stranger.frame).verdict == .drop(.noConnection))
    }

    @Test func `exactly as many flows are admitted as there are ports for each backend`() {
        let harness = PipelineHarness(PlanFixture.plan(.snat, backends: 1, ports: [5000...5003]))
        let outcomes = harness.send(
            (0..<6).map { index in
                Self.tcp.with { $0.sourcePort = 3000 + UInt16(index) }.frame
            })
        #expect(outcomes.filter { $0.verdict == .transmit }.count == 4)
        #expect(outcomes.filter { $0.verdict == .drop(.snatExhausted) }.count == 2)
        #expect(harness.counters[failuresOfSNATAddress: 0] == 2)
        // UDP has ports of its own, and the admitted flows go on.
        #expect(harness.send(Self.udp.frame).verdict == .transmit)
        #expect(harness.send(Self.tcp.with { $0.sourcePort = 3000 }.frame).verdict == .transmit)
    }

    @Test func `a closed connection's port is given again after its rest`() {
        let harness = PipelineHarness(PlanFixture.plan(.snat, backends: 1, ports: [5000...5000]))
        let forward = harness.send(Self.tcp.frame).frame
        _ = harness.send(Self.tcp.with { $0.tcpFlags = 0x11 }.frame)
        _ = harness.send(Self.reply(to: forward) { $0.tcpFlags = 0x11 }.frame)
        let next = Self.tcp.with { $0.sourcePort = 4445 }
        #expect(harness.send(next.frame).verdict == .drop(.snatExhausted))
        harness.now += 30_000
        #expect(harness.send(next.frame).verdict == .transmit)
        #expect(harness.connectionCount == 1)
    }

    @Test(arguments: ["both sides have closed", "the client has reset a handshake"])
    func `a client that uses its port again keeps its SNAT port, and so meets its own TIME-WAIT`(
        _ ending: String
    ) {
        let harness = PipelineHarness(PlanFixture.plan(.snat, backends: 1, ports: [5000...5999]))
        let first = harness.send(Self.tcp.frame).frame
        if ending.hasPrefix("both") {
            _ = harness.send(Self.tcp.with { $0.tcpFlags = 0x11 }.frame)
            _ = harness.send(Self.reply(to: first) { $0.tcpFlags = 0x11 }.frame)
        } else {
            // What a server in TIME-WAIT answers, and what the client makes of it.
            _ = harness.send(Self.reply(to: first) { $0.tcpFlags = 0x10 }.frame)
            _ = harness.send(Self.tcp.with { $0.tcpFlags = 0x04 }.frame)
        }
        harness.now += 10
        let second = harness.send(Self.tcp.frame).frame
        #expect(Array(first[26..<38]) == Array(second[26..<38]), "after \(ending)")
        #expect(harness.connectionCount == 1)
        #expect(harness.counters[service: 0, .newConnections] == 2)
        #expect(harness.counters[service: 0, .connections] == 1)
        // It lives as a new one does.
        _ = harness.send(Self.reply(to: second) { $0.tcpFlags = 0x12 }.frame)
        _ = harness.send(Self.tcp.with { $0.tcpFlags = 0x10 }.frame)
        for _ in 0..<600 {
            harness.now += 500
            _ = harness.maintain()
        }
        #expect(harness.connectionCount == 1, "an established one outlives the transitory timeout")
    }

    @Test func `a client that uses its port again is balanced anew when the table has changed`() {
        let harness = PipelineHarness(PlanFixture.plan(.snat, backends: 2, ports: [5000...5999]))
        var chosen: [[UInt8]] = []
        for backend in [0, 1] as [UInt16] {
            harness.publish { plan in
                let endpoint = Endpoint(address: plan.backends[Int(backend)].address, port: nil)
                plan.services[0].maglev = MaglevTable(
                    members: [.init(endpoint: endpoint, weight: 1, backend: backend)], size: 251,
                    key: PlanFixture.key)
            }
            chosen.append(Array(harness.send(Self.tcp.frame).frame[30..<34]))
            _ = harness.send(Self.tcp.with { $0.tcpFlags = 0x04 }.frame)
        }
        #expect(chosen == harness.plan.backends.prefix(2).map { $0.address.bytes })
        #expect(harness.connectionCount == 1)
    }

    @Test func `a reply for another worker's port is handed to that worker`() {
        let plan = PlanFixture.plan(.snat, ports: [1000...1999], workers: 2)
        let second = PipelineHarness(plan, worker: 1, portsPerAddress: 500)
        let forward = second.send(Self.tcp.frame).frame
        let port = UInt16(forward[34]) << 8 | UInt16(forward[35])
        #expect((1500...1999).contains(port))
        let first = PipelineHarness(plan, worker: 0, portsPerAddress: 500)
        let reply = Self.reply(to: forward).frame
        #expect(first.send(reply).verdict == .handOff(worker: 1))
        #expect(second.send(reply).verdict == .transmit)
        #expect(first.chunksHeld == 0)
    }
}
