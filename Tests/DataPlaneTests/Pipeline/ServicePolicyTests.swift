// SPDX-License-Identifier: Apache-2.0
import DataPlane
import TestSupport
import Testing

/// What a service may ask for besides balancing by five-tuple.
@Suite struct ServicePolicyTests {
    /// Backends (last byte of their address) that flows go to.
    private static func backends(
        _ harness: PipelineHarness, _ packets: [PacketBuilder]
    ) -> Set<UInt8> {
        Set(
            harness.send(packets.map(\.frame)).filter { $0.verdict == .transmit }.map {
                $0.frame[33]
            })
    }

    private static func plan(
        _ affinity: ForwardingPlan.Affinity, backends: Int = 8
    ) -> ForwardingPlan {
        var plan = PlanFixture.plan(.dsr, backends: backends)
        plan.services[0].affinity = affinity
        plan.services[0].backends = (0..<UInt16(backends)).map { $0 }
        plan.services[0].keys.append(
            ServiceKey(
                vips: IPPrefix(PlanFixture.address("40.1.1.9")), ports: ServiceKey.anyPort,
                transport: .udp))
        return plan
    }

    private static func datagram(
        _ client: String = "10.0.0.9", port: UInt16 = 4444, to destination: UInt16 = 443,
        _ payload: [UInt8] = [1, 2, 3]
    ) -> PacketBuilder {
        PacketBuilder().with {
            $0.source = client
            $0.destination = "40.1.1.9"
            $0.sourcePort = port
            $0.destinationPort = destination
            $0.tcpFlags = nil
            $0.payload = payload
        }
    }

    @Test func `by client address all flows of a client go to one backend`() {
        let harness = PipelineHarness(Self.plan(.clientAddress))
        let one = (1...60).map { Self.datagram(port: UInt16($0), to: UInt16($0)) }
        #expect(Self.backends(harness, one).count == 1)
        #expect(Self.backends(harness, (1...60).map { Self.datagram("10.0.0.\($0)") }).count > 4)
    }

    @Test func `by destination port all clients of a port go to one backend`() {
        let harness = PipelineHarness(Self.plan(.destinationPort))
        #expect(Self.backends(harness, (1...60).map { Self.datagram("10.0.0.\($0)") }).count == 1)
        #expect(Self.backends(harness, (1...60).map { Self.datagram(to: UInt16($0)) }).count > 4)
    }

    @Test func `a QUIC connection ID finds the server that issued it from any address`() {
        let harness = PipelineHarness(Self.plan(.quicConnectionID))
        for server in 1...8 as ClosedRange<UInt8> {
            // 20.1.1.10 has the number 0x010a, and so on.
            let issued: [UInt8] = [0x08, 1, server * 10, 9, 9, 9]
            let short = (1...20).map { Self.datagram("10.0.0.\($0)", [0x40] + issued) }
            #expect(Self.backends(harness, short) == [server * 10])
            let handshake = (1...20).map {
                Self.datagram("10.0.1.\($0)", [0xe0, 0, 0, 0, 1, 6] + issued)
            }
            #expect(Self.backends(harness, handshake) == [server * 10])
        }
        // The client chose this one: it says nothing.
        let initial = (1...60).map {
            Self.datagram("10.0.2.\($0)", [0xc0, 0, 0, 0, 1, 8, 0x08, 1, 10, 9, 9, 9])
        }
        #expect(Self.backends(harness, initial).count > 4)
        let cut = Self.datagram("10.0.0.9", [0x40])
        #expect(harness.send(cut.frame).verdict == .transmit)
    }

    @Test func `clients outside the source ranges are dropped`() throws {
        var plan = PlanFixture.mixedPlan()
        plan.services[0].sourceRanges = try [
            #require(IPPrefix("10.0.0.0/8")), #require(IPPrefix("2001:db8:9::/48")),
        ]
        let harness = PipelineHarness(plan)
        func verdict(_ source: String, _ vip: String) -> Verdict {
            harness.send(
                PacketBuilder().with {
                    $0.source = source
                    $0.destination = vip
                }.frame
            ).verdict
        }
        #expect(verdict("10.255.0.1", "40.1.1.1") == .transmit)
        #expect(verdict("11.0.0.1", "40.1.1.1") == .drop(.policy))
        #expect(verdict("2001:db8:9:1::1", "2001:db8:40::1") == .transmit)
        #expect(verdict("2001:db8:a::1", "2001:db8:40::1") == .drop(.policy))
        // Another service's clients are its own.
        #expect(verdict("11.0.0.1", "40.1.1.2") == .transmit)
        #expect(harness.counters[.policy] == 2)
    }

    @Test func `with nobody eligible packets are dropped, or refused if asked for`() {
        for mode in ForwardingMode.allCases {
            var plan = PlanFixture.plan(mode)
            plan.services[0].maglev = MaglevTable(members: [], size: 251, key: plan.hashKey)
            let silent = PipelineHarness(plan)
            #expect(silent.send(PacketBuilder().frame).verdict == .drop(.noBackend))

            plan.services[0].onNoBackend = .reject
            let harness = PipelineHarness(plan)
            let reset = Array(harness.send(PacketBuilder().frame).frame[14...])
            #expect(reset.count == 40 && reset[33] == 0x14)
            #expect(Array(reset[12..<24]) == [40, 1, 1, 1, 10, 0, 0, 9, 0, 80, 0x11, 0x5c])
            // It acknowledges the SYN and its three bytes.
            #expect(Array(reset[24..<32]) == [0, 0, 0, 0, 0, 0, 0, 5])
            #expect(
                SlowChecksum.ofTransport(reset) == 0 && SlowChecksum.of(Array(reset[..<20])) == 0)
            // In answer to an ACK its number is taken over; to a RST nothing is said.
            let acknowledged = harness.send(PacketBuilder().with { $0.tcpFlags = 0x10 }.frame)
            #expect(Array(acknowledged.frame[38..<42]) == [0, 0, 0, 2])
            #expect(acknowledged.frame[47] == 0x04)
            let refused = PacketBuilder().with { $0.tcpFlags = 0x04 }
            #expect(harness.send(refused.frame).verdict == .drop(.noBackend))

            let datagram = PacketBuilder().with {
                $0.tcpFlags = nil
                $0.destinationPort = 53
            }
            let error = Array(harness.send(datagram.frame).frame[14...])
            #expect(Array(error[20..<22]) == [3, 3] && SlowChecksum.of(Array(error[20...])) == 0)
            #expect(Array(error[28...]) == datagram.packet)
        }
    }

    @Test func `over its bound a source is balanced untracked, or refused in snat`() {
        for mode in ForwardingMode.allCases {
            var plan = PlanFixture.plan(mode)
            plan.newPerSource = 10
            let harness = PipelineHarness(plan)
            func flood(_ source: String) -> [Verdict] {
                harness.send(
                    (1...30).map { (port: Int) in
                        PacketBuilder().with {
                            $0.source = source
                            $0.sourcePort = UInt16(port)
                        }.frame
                    }
                ).map(\.verdict)
            }
            let first = flood("10.0.0.9")
            #expect(harness.connectionCount == 10)
            let expected: Verdict = mode == .dsr ? .transmit : .drop(.rateLimited)
            #expect(first[10...].allSatisfy { $0 == expected })
            // Others are not charged for it, and it may go on later.
            #expect(flood("10.0.0.10")[..<10].allSatisfy { $0 == .transmit })
            #expect(harness.connectionCount == 20)
            harness.now += 1000
            #expect(flood("10.0.0.11")[..<10].allSatisfy { $0 == .transmit })
        }
    }

    @Test func `the MSS of a SYN is lowered to what fits the tunnel`() {
        var plan = PlanFixture.mixedPlan(dsrBackends: [1])
        plan.encapsulation.clampsMSS = true
        let harness = PipelineHarness(plan)
        for (options, place) in [([2, 4, 5, 180], 2), ([1, 2, 4, 5, 180, 1, 1, 1], 3)]
            as [([UInt8], Int)]
        {
            var frame = PacketBuilder().frame
            // Options in front of the data, and the header's length with them.
            frame.replaceSubrange(54..., with: options)
            frame[46] = UInt8((20 + options.count) / 4) << 4
            let length = UInt16(frame.count - 14)
            frame[16] = UInt8(length >> 8)
            frame[17] = UInt8(length & 255)
            for place in [24, 25, 50, 51] { frame[place] = 0 }
            let sum = SlowChecksum.of(Array(frame[14..<34]))
            frame.replaceSubrange(24..<26, with: [UInt8(sum >> 8), UInt8(sum & 255)])
            let transport = SlowChecksum.ofTransport(Array(frame[14...]))
            frame.replaceSubrange(50..<52, with: [UInt8(transport >> 8), UInt8(transport & 255)])

            let inner = Array(harness.send(frame).frame[54...])
            // 1500 − 40 − 20 − 20.
            #expect(Array(inner[(40 + place)..<(42 + place)]) == [0x05, 0x8c])
            #expect(SlowChecksum.ofTransport(inner) == 0)
        }
    }

    @Test func `segments whose flags mean nothing are dropped`() {
        let harness = PipelineHarness(PlanFixture.plan(.dsr))
        for flags in 0...63 as ClosedRange<UInt8> {
            let isSYN = flags & 2 != 0
            let makesSense = isSYN ? flags & 5 == 0 : flags & 0x14 != 0
            let outcome = harness.send(PacketBuilder().with { $0.tcpFlags = flags }.frame)
            #expect(outcome.verdict == (makesSense ? .transmit : .drop(.malformed)), "\(flags)")
        }
    }
}
