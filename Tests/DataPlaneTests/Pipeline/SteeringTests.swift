// SPDX-License-Identifier: Apache-2.0
import DataPlane
import TestSupport
import Testing

/// What is ours, rule by rule.
///
/// That the steering program agrees is tested in the kernel.
@Suite struct SteeringTests {
    struct Case: CustomTestStringConvertible, Sendable {
        var testDescription: String
        var isOurs: Bool
        var frame: [UInt8]
    }

    /// A case whose frame is a TCP SYN from 10.0.0.9 to 40.1.1.1:80 but for `change`.
    private static func frame(
        _ sentence: String, ours: Bool, _ change: (inout PacketBuilder) -> Void = { _ in }
    ) -> Case {
        Case(
            testDescription: sentence, isOurs: ours, frame: PacketBuilder().with(change).frame)
    }

    /// The same of both families.
    private static func frames(
        _ sentence: String, ours: Bool, to destination: (ipv4: String, ipv6: String),
        from source: (ipv4: String, ipv6: String) = ("10.0.0.9", "2001:db8:9::9"),
        _ change: (inout PacketBuilder) -> Void = { _ in }
    ) -> [Case] {
        [(source.ipv4, destination.ipv4), (source.ipv6, destination.ipv6)].map { from, to in
            frame("\(sentence) (\(from) > \(to))", ours: ours) {
                ($0.source, $0.destination) = (from, to)
                change(&$0)
            }
        }
    }

    /// One list of several: as a long sum the compiler would take its time for it.
    private static func all(_ lists: [[Case]]) -> [Case] { lists.flatMap(\.self) }

    private static let dsrVIPs = ("40.1.1.1", "2001:db8:40::1")
    private static let snatVIPs = ("40.1.1.2", "2001:db8:40::2")
    private static let strangers = ("40.9.9.9", "2001:db8:99::9")
    private static let pool = ("20.1.1.2", "2001:db8:20::2")
    private static let snatBackends = ("20.1.1.20", "2001:db8:20::20")
    private static let dsrBackends = ("20.1.1.10", "2001:db8:20::10")

    /// Two VIPs with one port each, and 40.8.0.0/16:8000-8099/tcp around 40.8.1.1:any/udp.
    private static let plan: ForwardingPlan = {
        var plan = PlanFixture.mixedPlan()
        plan.services[0].keys += [
            "40.8.0.0/16:8000-8099/tcp", "40.8.1.1:any/udp", "[2001:db8:48::/48]:any/tcp",
        ].compactMap(ServiceKey.init)
        return plan
    }()

    @Test(
        arguments: all([linkCases, serviceCases, replyCases, fragmentCases, unreadableCases]))
    func `a frame is ours when a service is offered where it goes`(_ example: Case) {
        #expect(Self.isOurs(example.frame, Self.plan) == example.isOurs)
    }

    @Test(arguments: all([icmpCases, translationErrorCases, tunnelErrorCases]))
    func `a message is ours when it is for a VIP, or about what we sent`(_ example: Case) {
        #expect(Self.isOurs(example.frame, Self.plan) == example.isOurs)
    }

    private static func isOurs(_ frame: [UInt8], _ plan: ForwardingPlan) -> Bool {
        let snapshot = ForwardingSnapshot(plan)
        let answer = unsafe frame.withUnsafeBytes { unsafe Steering.decide($0, with: snapshot) }
        return answer == .redirect
    }

    // MARK: Link

    private static let linkCases = [
        frame("to our hardware address", ours: true),
        frame("to another's", ours: false) { $0.destinationMAC[5] = 2 },
        frame("broadcast", ours: false) {
            $0.destinationMAC = [UInt8](repeating: 0xff, count: 6)
        },
        frame("with a tag on a link without", ours: false) { $0.vlan = 100 },
        Case(
            testDescription: "ARP", isOurs: false,
            frame: Array(PacketBuilder().frame[..<12]) + [8, 6] + PacketBuilder().packet),
        Case(
            testDescription: "IPv4 under the EtherType of IPv6", isOurs: false,
            frame: Array(PacketBuilder().frame[..<12]) + [0x86, 0xdd] + PacketBuilder().packet),
    ]

    @Test func `on a link with a VLAN only its tag is ours, at any priority`() {
        var plan = Self.plan
        plan.link.vlan = 100
        func isOurs(_ vlan: UInt16?) -> Bool {
            Self.isOurs(PacketBuilder().with { $0.vlan = vlan }.frame, plan)
        }
        #expect(isOurs(100) && isOurs(0xf000 | 100))
        #expect(!isOurs(nil) && !isOurs(0) && !isOurs(101))
        // The outer tag of a service provider (IEEE 802.1ad) is none of ours.
        var provider = PacketBuilder().with { $0.vlan = 100 }.frame
        provider.replaceSubrange(12..<14, with: [0x88, 0xa8])
        #expect(!Self.isOurs(provider, plan))
        var twice = PacketBuilder().with { $0.vlan = 100 }.frame
        twice.insert(contentsOf: twice[12..<16], at: 12)
        #expect(!Self.isOurs(twice, plan))
    }

    @Test func `a frame cut in its headers is ours from the whole IP header on`() {
        for vlan in [nil, 100] as [UInt16?] {
            var plan = Self.plan
            plan.link.vlan = vlan
            for (source, vip, header) in [
                ("10.0.0.9", "40.1.1.1", 20), ("2001:db8:9::9", "2001:db8:40::1", 40),
            ] {
                let frame = PacketBuilder().with {
                    ($0.source, $0.destination, $0.vlan) = (source, vip, vlan)
                }.frame
                let link = vlan == nil ? 14 : 18
                for length in 0...frame.count {
                    let isOurs = Self.isOurs(Array(frame[..<length]), plan)
                    #expect(isOurs == (length >= link + header), "\(length) bytes to \(vip)")
                }
            }
        }
    }

    // MARK: Services and replies

    private static let serviceCases = all([
        frames("TCP to a port that is offered", ours: true, to: dsrVIPs),
        frames("TCP to one that is not", ours: false, to: dsrVIPs) { $0.destinationPort = 81 },
        frames("UDP to a port that is offered over TCP", ours: false, to: dsrVIPs) {
            $0.tcpFlags = nil
        },
        frames("UDP to a port that is offered", ours: true, to: snatVIPs) {
            ($0.tcpFlags, $0.destinationPort) = (nil, 53)
        },
        frames("TCP to nobody's address", ours: false, to: strangers),
        [
            frame("to a range in a prefix", ours: true) {
                ($0.destination, $0.destinationPort) = ("40.8.255.255", 8099)
            },
            frame("after the range", ours: false) {
                ($0.destination, $0.destinationPort) = ("40.8.0.0", 8100)
            },
            frame("after the prefix", ours: false) {
                ($0.destination, $0.destinationPort) = ("40.9.0.0", 8000)
            },
            frame("to a VIP inside, what is offered at the prefix", ours: true) {
                ($0.destination, $0.destinationPort) = ("40.8.1.1", 8000)
            },
            frame("to a VIP inside, any port of its own", ours: true) {
                ($0.destination, $0.destinationPort, $0.tcpFlags) = ("40.8.1.1", 0, nil)
            },
            frame("beside it, a port that only the VIP inside has", ours: false) {
                ($0.destination, $0.destinationPort, $0.tcpFlags) = ("40.8.1.2", 53, nil)
            },
            frame("behind options", ours: true) { $0.options = [1, 1, 1, 0] },
            frame("to any port of an IPv6 prefix", ours: true) {
                ($0.source, $0.destination) = ("2001:db8:9::9", "2001:db8:48:ffff::1")
                $0.destinationPort = 65535
            },
            frame("behind extension headers", ours: true) {
                ($0.source, $0.destination) = ("2001:db8:9::9", "2001:db8:40::1")
                $0.extensions = [(60, [0, 1, 4, 0, 0, 0, 0]), (51, [0, 0, 0, 0, 0, 0, 0])]
            },
        ],
    ])

    private static let replyCases = all([
        frames("a backend's reply", ours: true, to: pool, from: snatBackends) {
            ($0.sourcePort, $0.destinationPort) = (80, 1024)
        },
        frames("to a port that is not of the pool", ours: false, to: pool, from: snatBackends) {
            ($0.sourcePort, $0.destinationPort) = (80, 1023)
        },
        frames("from another port of it", ours: false, to: pool, from: snatBackends) {
            ($0.sourcePort, $0.destinationPort) = (22, 1024)
        },
        frames("from a backend of dsr", ours: false, to: pool, from: dsrBackends) {
            ($0.sourcePort, $0.destinationPort) = (80, 1024)
        },
        frames("to others", ours: false, to: strangers, from: snatBackends) {
            ($0.sourcePort, $0.destinationPort) = (80, 1024)
        },
    ])

    @Test func `port 0 stands for any port of a backend`() {
        var plan = Self.plan
        plan.snatSources = [
            .init(address: PlanFixture.address("20.1.1.20"), port: 0, transport: .tcp)
        ]
        let reply = PacketBuilder().with {
            ($0.source, $0.sourcePort) = ("20.1.1.20", 4711)
            ($0.destination, $0.destinationPort) = ("20.1.1.2", 2000)
        }
        #expect(Self.isOurs(reply.frame, plan))
        #expect(!Self.isOurs(reply.with { $0.tcpFlags = nil }.frame, plan))
    }

    // MARK: Fragments, and what cannot be read

    private static func fragments(
        _ sentence: String, ours: Bool, from source: String, to destination: String
    ) -> [Case] {
        let packet = PacketBuilder().with {
            ($0.source, $0.destination, $0.destinationPort) = (source, destination, 9)
            $0.payload = [UInt8](repeating: 7, count: 60)
        }
        return packet.fragments(of: 32).enumerated().map { index, frame in
            Case(
                testDescription: "\(sentence), piece \(index) (\(source) > \(destination))",
                isOurs: ours, frame: frame)
        }
    }

    private static let fragmentCases = all([
        fragments("to a VIP, whatever the port", ours: true, from: "10.0.0.9", to: "40.1.1.1"),
        fragments("to a VIP", ours: true, from: "2001:db8:9::9", to: "2001:db8:40::1"),
        fragments("from a backend to the pool", ours: true, from: "20.1.1.20", to: "20.1.1.2"),
        fragments(
            "from a backend to the pool", ours: true, from: "2001:db8:20::20",
            to: "2001:db8:20::2"),
        fragments("from others to the pool", ours: false, from: "10.0.0.9", to: "20.1.1.2"),
        fragments("from a backend to others", ours: false, from: "20.1.1.20", to: "40.9.9.9"),
        [
            frame("an atomic fragment to a port that is offered", ours: true) {
                ($0.source, $0.destination) = ("2001:db8:9::9", "2001:db8:40::1")
                $0.extensions = [(44, [0, 0, 0, 0, 0, 0, 1])]
            },
            frame("an atomic fragment to one that is not", ours: false) {
                ($0.source, $0.destination) = ("2001:db8:9::9", "2001:db8:40::1")
                $0.extensions = [(44, [0, 0, 0, 0, 0, 0, 1])]
                $0.destinationPort = 81
            },
        ],
    ])

    private static let padding: [UInt8] = [0, 1, 4, 0, 0, 0, 0]

    private static func extensions(
        _ sentence: String, ours: Bool, to vip: String = "2001:db8:40::1", port: UInt16 = 81,
        _ extensions: [(type: UInt8, bytes: [UInt8])]
    ) -> Case {
        frame(sentence, ours: ours) {
            ($0.source, $0.destination, $0.destinationPort) = ("2001:db8:9::9", vip, port)
            $0.extensions = extensions
        }
    }

    private static let unreadableCases = [
        extensions(
            "eight extension headers, to a port that is offered", ours: true, port: 80,
            Array(repeating: (60, padding), count: 8)),
        extensions(
            "eight, to one that is not", ours: false, Array(repeating: (60, padding), count: 8)),
        extensions(
            "nine, to a VIP", ours: true, Array(repeating: (60, padding), count: 9)),
        extensions(
            "nine, to nobody's address", ours: false, to: "2001:db8:99::9",
            Array(repeating: (60, padding), count: 9)),
        extensions(
            "a length that leads out of the frame, to a VIP", ours: true,
            [(60, [200, 1, 4, 0, 0, 0, 0])]),
        frame("a header length under five words, to a VIP", ours: true) { _ in }
            .changing(14, to: 0x44),
        frame("the same to nobody's address", ours: false) { $0.destination = "40.9.9.9" }
            .changing(14, to: 0x44),
        frame("a protocol that no service has", ours: false) { _ in }.changing(23, to: 132),
        frame("ICMPv6 in IPv4", ours: false) { _ in }.changing(23, to: 58),
    ]

    // MARK: ICMP

    private static func icmp(
        _ sentence: String, ours: Bool, _ types: (ipv4: UInt8, ipv6: UInt8), code: UInt8 = 0,
        to destination: (ipv4: String, ipv6: String)
    ) -> [Case] {
        frames(sentence, ours: ours, to: destination) {
            let type = $0.source.contains(":") ? types.ipv6 : types.ipv4
            $0.icmp = (type, code, [0, 0, 5, 0])
        }
    }

    private static let icmpCases = all([
        icmp("an echo request to a VIP", ours: true, (8, 128), to: dsrVIPs),
        icmp("an echo request to a SNAT address", ours: false, (8, 128), to: pool),
        icmp("an error to a VIP, whatever it quotes", ours: true, (3, 1), to: dsrVIPs),
        icmp("a reply to a VIP", ours: true, (0, 129), to: dsrVIPs),
        icmp("an error to others", ours: false, (3, 1), to: strangers),
        (Array(130...137) + [143] as [UInt8]).map { type in
            frame("ICMPv6 of type \(type) to a VIP", ours: false) {
                ($0.source, $0.destination) = ("2001:db8:9::9", "2001:db8:40::1")
                $0.icmp = (type, 0, [0, 0, 0, 0])
            }
        },
        ([129, 138, 142, 144] as [UInt8]).map { type in
            frame("ICMPv6 of type \(type) to a VIP", ours: true) {
                ($0.source, $0.destination) = ("2001:db8:9::9", "2001:db8:40::1")
                $0.icmp = (type, 0, [0, 0, 0, 0])
            }
        },
    ])

    @Test func `echo requests that are not to be answered are the kernel's, other messages not`() {
        var plan = Self.plan
        plan.icmp.answersEcho = false
        for example in Self.icmp("request", ours: false, (8, 128), to: Self.dsrVIPs)
            + Self.icmp("other family's request", ours: true, (128, 8), to: Self.dsrVIPs)
            + Self.icmp("error", ours: true, (3, 1), to: Self.dsrVIPs)
        {
            #expect(
                Self.isOurs(example.frame, plan) == example.isOurs, "\(example.testDescription)")
        }
    }

    /// An error from a router to a SNAT address, about a packet we sent to a backend.
    private static func error(
        _ sentence: String, ours: Bool, _ types: (ipv4: UInt8, ipv6: UInt8) = (3, 1),
        code: UInt8 = 1, cut: Int? = nil, _ change: (inout PacketBuilder) -> Void = { _ in }
    ) -> [Case] {
        [(types.ipv4, pool.0, snatBackends.0), (types.ipv6, pool.1, snatBackends.1)].map {
            type, address, backend in
            let quoted = PacketBuilder().with {
                ($0.source, $0.sourcePort) = (address, 2000)
                ($0.destination, $0.destinationPort) = (backend, 80)
                change(&$0)
            }
            return frame("\(sentence) (\(address))", ours: ours) {
                $0.source = address.contains(":") ? "2001:db8:9::fe" : "10.0.0.254"
                $0.destination = address
                $0.icmp = (type, code, [0, 0, 5, 0])
                $0.payload = Array(quoted.packet.prefix(cut ?? quoted.packet.count))
            }
        }
    }

    private static let translationErrorCases = all([
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
        code: UInt8 = 4, to ends: (String, String) = dsrBackends, outerOptions: Int = 0,
        cut: Int = 0, innerIsIPv6: Bool = false,
        _ change: (inout PacketBuilder) -> Void = { _ in }
    ) -> [Case] {
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
            return frame("\(sentence) (\(own) to \(end))", ours: ours) {
                $0.source = isIPv6 ? "2001:db8:9::fe" : "10.0.0.254"
                $0.destination = own
                $0.icmp = (type, code, [0, 0, 5, 0])
                $0.payload = (outer + inner.packet).dropLast(cut)
            }
        }
    }

    private static let tunnelErrorCases = all([
        tunnelError("a tunnelled packet is too big", ours: true),
        tunnelError("one of IPv6 is", ours: true, innerIsIPv6: true),
        tunnelError("eight bytes behind the inner header", ours: true, cut: 12),
        tunnelError("seven bytes behind it", ours: false, cut: 13),
        tunnelError("a tunnel to others", ours: false, to: strangers),
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

extension SteeringTests.Case {
    /// The same with one byte of the frame changed.
    fileprivate func changing(_ offset: Int, to byte: UInt8) -> Self {
        var copy = self
        copy.frame[offset] = byte
        return copy
    }
}
