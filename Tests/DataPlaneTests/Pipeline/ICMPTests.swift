// SPDX-License-Identifier: Apache-2.0
import DataPlane
import TestSupport
import Testing

/// Echo, and errors from the network.
@Suite struct ICMPTests {
    private static func ping(_ client: String, _ vip: String) -> PacketBuilder {
        PacketBuilder().with {
            $0.source = client
            $0.destination = vip
            $0.icmp = (vip.contains(":") ? 128 : 8, 0, [0x12, 0x34, 0, 1])
            $0.timeToLive = 1
            $0.typeOfService = 0x10
        }
    }

    private static let pings = [
        ping("10.0.0.9", "40.1.1.1"), ping("2001:db8:9::9", "2001:db8:40::1"),
    ]

    @Test(arguments: 0..<2)
    func `a VIP answers an echo request with its data, at any size`(_ index: Int) {
        let harness = PipelineHarness(PlanFixture.mixedPlan())
        for size in [0, 1, 56, 1400] {
            let request = Self.pings[index].with {
                $0.payload = [UInt8](repeating: 0x5a, count: size)
            }
            let outcome = harness.send(request.with { $0.trailer = [9, 9] }.frame)
            #expect(outcome.verdict == .transmit)
            let reply = request.with {
                $0.source = request.destination
                $0.destination = request.source
                $0.icmp?.type = index == 0 ? 0 : 129
            }
            let packet = Array(outcome.frame[14...])
            let header = index == 0 ? 20 : 40
            #expect(Array(packet[header...]) == reply.transport)
            #expect(packet[index == 0 ? 8 : 7] == 64)
            #expect(
                Array(packet[(index == 0 ? 12..<20 : 8..<40)])
                    == PlanFixture.address(request.destination).bytes
                    + PlanFixture.address(request.source).bytes)
        }
        #expect(harness.counters[.echoReplies] == 4)
    }

    @Test func `a request of zeros has a reply whose checksum is right`() {
        let harness = PipelineHarness(PlanFixture.mixedPlan())
        let request = Self.pings[0].with {
            $0.icmp?.rest = [0, 0, 0, 0]
            $0.payload = []
        }
        let packet = Array(harness.send(request.frame).frame[34...])
        #expect(SlowChecksum.of(packet) == 0 && packet[2] == 0xff)
    }

    @Test func `echo requests that are not to be answered are not`() {
        var plan = PlanFixture.mixedPlan()
        let harness = PipelineHarness(plan)
        for request in Self.pings {
            var wrong = request.frame
            wrong[wrong.count - 1] ^= 1
            #expect(harness.send(wrong).verdict == .drop(.badChecksum))
            let own = request.with {
                $0.source = request.source.contains(":") ? "2001:db8:20::1" : "20.1.1.1"
            }
            #expect(harness.send(own.frame).verdict == .drop(.badSource))
            #expect(harness.steer(request.frame) == .redirect)
            #expect(harness.steer(request.with { $0.destination = $0.source }.frame) == .pass)
        }
        plan.icmp.answersEcho = false
        let silent = PipelineHarness(plan)
        for request in Self.pings { #expect(silent.steer(request.frame) == .pass) }
    }

    @Test func `neighbour discovery and listener reports are the kernel's, also at a VIP`() {
        let harness = PipelineHarness(PlanFixture.mixedPlan())
        for type in Array(130...137) + [143] as [UInt8] {
            #expect(harness.steer(Self.pings[1].with { $0.icmp?.type = type }.frame) == .pass)
        }
    }

    @Test func `generated errors are bounded`() {
        var plan = PlanFixture.mixedPlan(dsrBackends: [0])
        plan.icmp.errorsPerSecond = 10
        let harness = PipelineHarness(plan)
        let big = PacketBuilder().with { $0.payload = [UInt8](repeating: 0, count: 1460) }.frame
        func answers() -> Int {
            harness.send(Array(repeating: big, count: 60)).filter { $0.verdict == .transmit }.count
        }
        #expect(answers() == 10)
        #expect(answers() == 0)
        harness.now += 500
        #expect(answers() == 5)
        #expect(harness.counters[.tooBig] == 180)
    }

    // MARK: Errors from the network

    /// An error about a packet that `quoted` builds.
    private static func error(
        from router: String, to destination: String, about quoted: PacketBuilder,
        type: UInt8? = nil, code: UInt8? = nil, mtu: UInt16 = 1400, bytes: Int = 64
    ) -> PacketBuilder {
        let isIPv6 = destination.contains(":")
        return PacketBuilder().with {
            $0.source = router
            $0.destination = destination
            $0.icmp = (
                type ?? (isIPv6 ? 2 : 3), code ?? (isIPv6 ? 0 : 4),
                [0, 0, UInt8(mtu >> 8), UInt8(mtu & 255)]
            )
            $0.payload = Array(quoted.packet.prefix(bytes))
        }
    }

    private static let clients = ["10.0.0.9", "2001:db8:9::9"]
    private static let routers = ["10.9.9.9", "2001:db8:99::9"]

    @Test(arguments: 0..<2)
    func `an error about a packet of a VIP goes whole to the backend of the flow`(_ index: Int) {
        let harness = PipelineHarness(PlanFixture.mixedPlan())
        let vip = index == 0 ? "40.1.1.1" : "2001:db8:40::1"
        for port in 2000..<2030 as Range<UInt16> {
            let packet = PacketBuilder().with {
                $0.source = Self.clients[index]
                $0.destination = vip
                $0.sourcePort = port
            }
            let answer = packet.with {
                $0.source = vip
                $0.destination = Self.clients[index]
                $0.sourcePort = 80
                $0.destinationPort = port
            }
            let error = Self.error(from: Self.routers[index], to: vip, about: answer)
            let before = harness.send(error.frame)
            let own = harness.send(packet.frame)
            let after = harness.send(error.frame)
            #expect(before.verdict == .transmit && after.verdict == .transmit)
            let isOuterIPv4 = own.frame[12] == 8
            let destination = isOuterIPv4 ? 30..<34 : 38..<54
            #expect(before.frame[destination] == own.frame[destination])
            #expect(after.frame[destination] == own.frame[destination])
            #expect(Array(after.frame[(isOuterIPv4 ? 34 : 54)...]) == error.packet)
        }
        #expect(Self.forwardedErrors(harness, index) == (60, 0))
    }

    /// Errors counted as delivered, of the family and of the other one.
    private static func forwardedErrors(
        _ harness: PipelineHarness, _ index: Int
    ) -> (UInt64, UInt64) {
        let counts = [
            harness.counters[.errorsForwardedIPv4], harness.counters[.errorsForwardedIPv6],
        ]
        return (counts[index], counts[1 - index])
    }

    @Test(arguments: 0..<2)
    func `snat translates errors inside and out, both ways`(_ index: Int) throws {
        let harness = PipelineHarness(PlanFixture.mixedPlan())
        let vip = index == 0 ? "40.1.1.2" : "2001:db8:40::2"
        let pool = index == 0 ? "20.1.1.2" : "2001:db8:20::2"
        let backend = index == 0 ? "20.1.1.20" : "2001:db8:20::20"
        let header = index == 0 ? 20 : 40
        let packet = PacketBuilder().with {
            $0.source = Self.clients[index]
            $0.destination = vip
        }
        let sent = Array(harness.send(packet.frame).frame[14...])
        let port = UInt16(sent[header]) << 8 | UInt16(sent[header + 1])

        // A router on the way to the backend, about what was sent there.
        var error = Self.error(from: Self.routers[index], to: pool, about: packet)
        error.payload = sent
        #expect(harness.steer(error.frame) == .redirect)
        let outcome = harness.send(error.frame)
        #expect(outcome.verdict == .transmit)
        let toClient = Array(outcome.frame[14...])
        let addresses = index == 0 ? 12..<20 : 8..<40
        func both(_ one: String, _ other: String) -> [UInt8] {
            PlanFixture.address(one).bytes + PlanFixture.address(other).bytes
        }
        #expect(Array(toClient[addresses]) == both(vip, Self.clients[index]))
        let quote = Array(toClient[(header + 8)...])
        #expect(Array(quote[addresses]) == both(Self.clients[index], vip))
        #expect(Array(quote[header..<header + 4]) == [0x11, 0x5c, 0, 80])
        #expect(SlowChecksum.ofTransport(quote) == 0)
        if index == 0 { #expect(SlowChecksum.of(Array(quote[..<20])) == 0) }
        #expect(
            (index == 0
                ? SlowChecksum.of(Array(toClient[20...])) : SlowChecksum.ofTransport(toClient)) == 0
        )

        // The client's side, about what the VIP answered.
        let answer = packet.with {
            $0.source = vip
            $0.destination = Self.clients[index]
            $0.sourcePort = 80
            $0.destinationPort = 4444
            $0.tcpFlags = 0x12
        }
        let other = harness.send(
            Self.error(from: Self.routers[index], to: vip, about: answer).frame)
        #expect(other.verdict == .transmit)
        let toBackend = Array(other.frame[14...])
        #expect(Array(toBackend[addresses]) == both(pool, backend))
        let inner = Array(toBackend[(header + 8)...])
        #expect(Array(inner[addresses]) == both(backend, pool))
        #expect(Array(inner[header..<header + 4]) == [0, 80, UInt8(port >> 8), UInt8(port & 255)])
        // An error ends nothing.
        #expect(harness.connectionCount == 1)
        #expect(Self.forwardedErrors(harness, index) == (2, 0))
    }

    @Test func `errors that say nothing of ours are dropped`() {
        let harness = PipelineHarness(PlanFixture.mixedPlan())
        let answer = PacketBuilder().with {
            $0.source = "40.1.1.1"
            $0.destination = "10.0.0.9"
            $0.sourcePort = 80
        }
        func verdict(_ error: PacketBuilder) -> Verdict { harness.send(error.frame).verdict }
        let router = "10.9.9.9"
        let good = Self.error(from: router, to: "40.1.1.1", about: answer)
        #expect(
            verdict(good.with { $0.payload = Array($0.payload.prefix(27)) }) == .drop(.malformed))
        #expect(
            verdict(
                Self.error(
                    from: router, to: "40.1.1.1", about: answer.with { $0.source = "40.1.1.2" }))
                == .drop(.malformed))
        #expect(
            verdict(
                Self.error(from: router, to: "40.1.1.1", about: answer.with { $0.fragment = 8 }))
                == .drop(.malformed))
        #expect(
            verdict(
                Self.error(from: router, to: "40.1.1.1", about: answer.with { $0.sourcePort = 81 }))
                == .drop(.noService))
        // Redirects and source quench (RFC 6633).
        for type in [4, 5] as [UInt8] {
            #expect(verdict(good.with { $0.icmp?.type = type }) == .drop(.noService))
        }
        var wrong = good.frame
        wrong[wrong.count - 1] ^= 1
        #expect(harness.send(wrong).verdict == .drop(.badChecksum))
        // Below what every IPv6 link carries.
        let answer6 = answer.with {
            $0.source = "2001:db8:40::1"
            $0.destination = "2001:db8:9::9"
        }
        let small = Self.error(
            from: "2001:db8:99::9", to: "2001:db8:40::1", about: answer6, mtu: 1279)
        #expect(harness.send(small.frame).verdict == .drop(.policy))
    }

    @Test func `who guesses connections gets sixteen tries, others are not held up`() {
        let harness = PipelineHarness(PlanFixture.mixedPlan())
        let packet = PacketBuilder().with { $0.destination = "40.1.1.2" }
        let sent = Array(harness.send(packet.frame).frame[14...])
        func error(from router: String, _ quote: [UInt8]) -> Verdict {
            var error = Self.error(from: router, to: "20.1.1.2", about: packet)
            error.payload = quote
            return harness.send(error.frame).verdict
        }
        for guess in 0..<100 as Range<UInt8> {
            var quote = sent
            quote[21] &+= guess &+ 1
            #expect(
                error(from: "10.9.9.9", quote)
                    == .drop(guess < 16 ? .noConnection : .rateLimited))
        }
        #expect(error(from: "10.9.9.9", sent) == .drop(.rateLimited))
        #expect(error(from: "10.9.9.8", sent) == .transmit)
        harness.now += 1000
        #expect(error(from: "10.9.9.9", sent) == .transmit)
    }

    @Test func `a tunnel that is too narrow is told to the client, from the VIP`() {
        let harness = PipelineHarness(PlanFixture.mixedPlan(dsrBackends: [0]))
        let packet = PacketBuilder().with { $0.payload = [UInt8](repeating: 1, count: 1400) }
        let tunnelled = Array(harness.send(packet.frame).frame[14...])
        var error = Self.error(from: "20.9.9.9", to: "20.1.1.1", about: packet, mtu: 1400)
        error.payload = Array(tunnelled.prefix(200))
        #expect(harness.steer(error.frame) == .redirect)
        let outcome = harness.send(error.frame)
        #expect(outcome.verdict == .transmit)
        let sent = Array(outcome.frame[14...])
        #expect(Array(sent[12..<20]) == [40, 1, 1, 1, 10, 0, 0, 9])
        #expect(Array(sent[20..<22]) == [3, 4] && Array(sent[26..<28]) == [0x05, 0x64])
        #expect(SlowChecksum.of(Array(sent[20...])) == 0)
        #expect(Array(sent[28...]) == Array(packet.packet.prefix(180)))
        #expect(harness.counters[.tooBigSentIPv4] == 1 && harness.counters[.tooBigSentIPv6] == 0)
        // Too short to tell the client by: the kernel's.
        error.payload = Array(tunnelled.prefix(28))
        #expect(harness.steer(error.frame) == .pass)
    }

    @Test func `an error is shown to all workers until one has the connection`() {
        var plan = PlanFixture.mixedPlan()
        plan.workerCount = 3
        let workers = (0..<3).map { PipelineHarness(plan, worker: $0, portsPerAddress: 21_846) }
        _ = workers[1].send(PacketBuilder().frame)
        let answer = PacketBuilder().with {
            $0.source = "40.1.1.1"
            $0.destination = "10.0.0.9"
            $0.sourcePort = 80
            $0.destinationPort = 4444
        }
        let known = Self.error(from: "10.9.9.9", to: "40.1.1.1", about: answer).frame
        #expect(workers[2].send(known).verdict == .handOff(worker: 0))
        #expect(workers[0].send(known, isHandedOver: true).verdict == .handOff(worker: 1))
        #expect(workers[1].send(known, isHandedOver: true).verdict == .transmit)
        let unknown = Self.error(
            from: "10.9.9.9", to: "40.1.1.1", about: answer.with { $0.destinationPort = 9 }
        ).frame
        #expect(workers[2].send(unknown).verdict == .handOff(worker: 0))
        #expect(workers[0].send(unknown, isHandedOver: true).verdict == .handOff(worker: 1))
        #expect(workers[1].send(unknown, isHandedOver: true).verdict == .handOff(worker: 2))
        #expect(workers[2].send(unknown, isHandedOver: true).verdict == .transmit)
    }
}
