// SPDX-License-Identifier: Apache-2.0
import DataPlane
import TestSupport
import Testing

/// Which ICMP messages are ours: those for a VIP, and errors about what we sent.
@Suite struct SteeringICMPTests {
    @Test(arguments: SteeringCase.all([icmpCases, translationErrorCases, tunnelErrorCases]))
    func `a message is ours when it is for a VIP, or about what we sent`(_ example: SteeringCase) {
        #expect(SteeringCase.isOurs(example.frame, SteeringCase.plan) == example.isOurs)
    }

    private static func icmp(
        _ sentence: String, ours: Bool, _ types: (ipv4: UInt8, ipv6: UInt8), code: UInt8 = 0,
        to destination: (ipv4: String, ipv6: String)
    ) -> [SteeringCase] {
        SteeringCase.frames(sentence, ours: ours, to: destination) {
            let type = $0.source.contains(":") ? types.ipv6 : types.ipv4
            $0.icmp = (type, code, [0, 0, 5, 0])
        }
    }

    private static let icmpCases = SteeringCase.all([
        icmp("an echo request to a VIP", ours: true, (8, 128), to: SteeringCase.dsrVIPs),
        icmp("an echo request to a SNAT address", ours: false, (8, 128), to: SteeringCase.pool),
        icmp("an error to a VIP, whatever it quotes", ours: true, (3, 1), to: SteeringCase.dsrVIPs),
        icmp("a reply to a VIP", ours: true, (0, 129), to: SteeringCase.dsrVIPs),
        icmp("an error to others", ours: false, (3, 1), to: SteeringCase.strangers),
        (Array(130...137) + [143] as [UInt8]).map { type in
            SteeringCase.frame("ICMPv6 of type \(type) to a VIP", ours: false) {
                ($0.source, $0.destination) = ("2001:db8:9::9", "2001:db8:40::1")
                $0.icmp = (type, 0, [0, 0, 0, 0])
            }
        },
        ([129, 138, 142, 144] as [UInt8]).map { type in
            SteeringCase.frame("ICMPv6 of type \(type) to a VIP", ours: true) {
                ($0.source, $0.destination) = ("2001:db8:9::9", "2001:db8:40::1")
                $0.icmp = (type, 0, [0, 0, 0, 0])
            }
        },
    ])

    @Test func `echo requests that are not to be answered are the kernel's, other messages not`() {
        var plan = SteeringCase.plan
        plan.icmp.answersEcho = false
        for example in Self.icmp("request", ours: false, (8, 128), to: SteeringCase.dsrVIPs)
            + Self.icmp("other family's request", ours: true, (128, 8), to: SteeringCase.dsrVIPs)
            + Self.icmp("error", ours: true, (3, 1), to: SteeringCase.dsrVIPs)
        {
            #expect(
                SteeringCase.isOurs(example.frame, plan) == example.isOurs,
                "\(example.testDescription)")
        }
    }

    /// An error from a router to a SNAT address, about a packet we sent to a backend.
    private static func error(
        _ sentence: String, ours: Bool, _ types: (ipv4: UInt8, ipv6: UInt8) = (3, 1),
        code: UInt8 = 1, cut: Int? = nil, _ change: (inout PacketBuilder) -> Void = { _ in }
    ) -> [SteeringCase] {
        [
            (types.ipv4, SteeringCase.pool.0, SteeringCase.snatBackends.0),
            (types.ipv6, SteeringCase.pool.1, SteeringCase.snatBackends.1),
        ].map {
            type, address, backend in
            let quoted = PacketBuilder().with {
                ($0.source, $0.sourcePort) = (address, 2000)
                ($0.destination, $0.destinationPort) = (backend, 80)
                change(&$0)
            }
            return SteeringCase.frame("\(sentence) (\(address))", ours: ours) {
                $0.source = address.contains(":") ? "2001:db8:9::fe" : "10.0.0.254"
                $0.destination = address
                $0.icmp = (type, code, [0, 0, 5, 0])
                $0.payload = Array(quoted.packet.prefix(cut ?? quoted.packet.count))
            }
        }
    }

    private static let translationErrorCases = SteeringCase.all([
        error("unreachable", ours: true) + error("time exceeded", ours: true, (11, 3)),
        error("parameter problem", ours: true, (12, 4)),
        error("redirect or a query's type", ours: false, (5, 137)),
        error("about another port of ours", ours: false) { $0.sourcePort = 1023 },
        error("about another service of the backend", ours: false) { $0.destinationPort = 22 },
        error("about another protocol", ours: false) { $0.tcpFlags = nil },
        error("about a packet of others", ours: false) { $0.source = "10.0.0.9" },
        error("with eight bytes of the segment", ours: true, cut: 48).suffix(1),
        error("with eight bytes of the segment", ours: true, cut: 28).dropLast(),
        error("with seven bytes of it", ours: false, cut: 47).suffix(1),
        error("with seven bytes of it", ours: false, cut: 27).dropLast(),
        error("about a first fragment", ours: true) { $0.fragment = 0x2000 }.dropLast(),
        error("about a later fragment", ours: false) { $0.fragment = 0x0001 }.dropLast(),
        error("behind options", ours: true) { $0.options = [1, 1, 1, 0] }.dropLast(),
    ])

    /// An error from a router to our own address, about a packet we tunnelled.
    private static func tunnelError(
        _ sentence: String, ours: Bool, _ types: (ipv4: UInt8, ipv6: UInt8) = (3, 2),
        code: UInt8 = 4, to ends: (String, String) = SteeringCase.dsrBackends,
        outerOptions: Int = 0,
        cut: Int = 0, innerIsIPv6: Bool = false,
        _ change: (inout PacketBuilder) -> Void = { _ in }
    ) -> [SteeringCase] {
        [(types.ipv4, "20.1.1.1", ends.0), (types.ipv6, "2001:db8:20::1", ends.1)].map {
            type, own, end in
            let inner = PacketBuilder().with {
                if innerIsIPv6 {
                    ($0.source, $0.destination) = ("2001:db8:9::9", "2001:db8:40::1")
                }
                $0.payload = []
                change(&$0)
            }
            let bare = PacketBuilder().with {
                ($0.source, $0.destination) = (own, end)
                $0.options = [UInt8](repeating: 1, count: outerOptions)
            }
            let isIPv6 = own.contains(":")
            var outer = Array(bare.packet.prefix(isIPv6 ? 40 : 20 + outerOptions))
            outer[isIPv6 ? 6 : 9] = innerIsIPv6 ? 41 : 4
            return SteeringCase.frame("\(sentence) (\(own) to \(end))", ours: ours) {
                $0.source = isIPv6 ? "2001:db8:9::fe" : "10.0.0.254"
                $0.destination = own
                $0.icmp = (type, code, [0, 0, 5, 0])
                $0.payload = (outer + inner.packet).dropLast(cut)
            }
        }
    }

    private static let tunnelErrorCases = SteeringCase.all([
        tunnelError("a tunnelled packet is too big", ours: true),
        tunnelError("one of IPv6 is", ours: true, innerIsIPv6: true),
        tunnelError("eight bytes behind the inner header", ours: true, cut: 12),
        tunnelError("seven bytes behind it", ours: false, cut: 13),
        tunnelError("a tunnel to others", ours: false, to: SteeringCase.strangers),
        tunnelError("an error that is no 'too big'", ours: false, (11, 1)),
        tunnelError("inside is an ICMP message", ours: false) { $0.icmp = (8, 0, [0, 0, 0, 0]) },
        tunnelError("inside is an ICMPv6 message", ours: false, innerIsIPv6: true) {
            $0.icmp = (128, 0, [0, 0, 0, 0])
        },
        tunnelError("inside is a later fragment", ours: false) { $0.fragment = 0x0001 },
        tunnelError("unreachable with another code", ours: false, code: 3).dropLast(),
        tunnelError("a tunnel header with options", ours: false, outerOptions: 4).dropLast(),
    ])
}
