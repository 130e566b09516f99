// SPDX-License-Identifier: Apache-2.0
import DataPlane
import TestSupport
import Testing

/// What is ours, rule by rule.
///
/// That the steering program agrees is tested in the kernel.
@Suite struct SteeringTests {
    @Test(
        arguments: SteeringCase.all([
            linkCases, serviceCases, replyCases, fragmentCases, unreadableCases,
        ]))
    func `a frame is ours when a service is offered where it goes`(_ example: SteeringCase) {
        #expect(SteeringCase.isOurs(example.frame, SteeringCase.plan) == example.isOurs)
    }

    // MARK: Link

    private static let linkCases = [
        SteeringCase.frame("to our hardware address", ours: true),
        SteeringCase.frame("to another's", ours: false) { $0.destinationMAC[5] = 2 },
        SteeringCase.frame("broadcast", ours: false) {
            $0.destinationMAC = [UInt8](repeating: 0xff, count: 6)
        },
        SteeringCase.frame("with a tag on a link without", ours: false) { $0.vlan = 100 },
        SteeringCase(
            testDescription: "ARP", isOurs: false,
            frame: Array(PacketBuilder().frame[..<12]) + [8, 6] + PacketBuilder().packet),
        SteeringCase(
            testDescription: "IPv4 under the EtherType of IPv6", isOurs: false,
            frame: Array(PacketBuilder().frame[..<12]) + [0x86, 0xdd] + PacketBuilder().packet),
    ]

    @Test func `on a link with a VLAN only its tag is ours, at any priority`() {
        var plan = SteeringCase.plan
        plan.link.vlan = 100
        func isOurs(_ vlan: UInt16?) -> Bool {
            SteeringCase.isOurs(PacketBuilder().with { $0.vlan = vlan }.frame, plan)
        }
        #expect(isOurs(100) && isOurs(0xf000 | 100))
        #expect(!isOurs(nil) && !isOurs(0) && !isOurs(101))
        // The outer tag of a service provider (IEEE 802.1ad) is none of ours.
        var provider = PacketBuilder().with { $0.vlan = 100 }.frame
        provider.replaceSubrange(12..<14, with: [0x88, 0xa8])
        #expect(!SteeringCase.isOurs(provider, plan))
        var twice = PacketBuilder().with { $0.vlan = 100 }.frame
        twice.insert(contentsOf: twice[12..<16], at: 12)
        #expect(!SteeringCase.isOurs(twice, plan))
    }

    @Test func `a frame cut in its headers is ours from the whole IP header on`() {
        for vlan in [nil, 100] as [UInt16?] {
            var plan = SteeringCase.plan
            plan.link.vlan = vlan
            for (source, vip, header) in [
                ("10.0.0.9", "40.1.1.1", 20), ("2001:db8:9::9", "2001:db8:40::1", 40),
            ] {
                let frame = PacketBuilder().with {
                    ($0.source, $0.destination, $0.vlan) = (source, vip, vlan)
                }.frame
                let link = vlan == nil ? 14 : 18
                for length in 0...frame.count {
                    let isOurs = SteeringCase.isOurs(Array(frame[..<length]), plan)
                    #expect(isOurs == (length >= link + header), "\(length) bytes to \(vip)")
                }
            }
        }
    }

    // MARK: Services and replies

    private static let serviceCases = SteeringCase.all([
        SteeringCase.frames("TCP to a port that is offered", ours: true, to: SteeringCase.dsrVIPs),
        SteeringCase.frames("TCP to one that is not", ours: false, to: SteeringCase.dsrVIPs) {
            $0.destinationPort = 81
        },
        SteeringCase.frames(
            "UDP to a port that is offered over TCP", ours: false, to: SteeringCase.dsrVIPs
        ) {
            $0.tcpFlags = nil
        },
        SteeringCase.frames("UDP to a port that is offered", ours: true, to: SteeringCase.snatVIPs)
        {
            ($0.tcpFlags, $0.destinationPort) = (nil, 53)
        },
        SteeringCase.frames("TCP to nobody's address", ours: false, to: SteeringCase.strangers),
        [
            SteeringCase.frame("to a range in a prefix", ours: true) {
                ($0.destination, $0.destinationPort) = ("40.8.255.255", 8099)
            },
            SteeringCase.frame("after the range", ours: false) {
                ($0.destination, $0.destinationPort) = ("40.8.0.0", 8100)
            },
            SteeringCase.frame("after the prefix", ours: false) {
                ($0.destination, $0.destinationPort) = ("40.9.0.0", 8000)
            },
            SteeringCase.frame("to a VIP inside, what is offered at the prefix", ours: true) {
                ($0.destination, $0.destinationPort) = ("40.8.1.1", 8000)
            },
            SteeringCase.frame("to a VIP inside, any port of its own", ours: true) {
                ($0.destination, $0.destinationPort, $0.tcpFlags) = ("40.8.1.1", 0, nil)
            },
            SteeringCase.frame("beside it, a port that only the VIP inside has", ours: false) {
                ($0.destination, $0.destinationPort, $0.tcpFlags) = ("40.8.1.2", 53, nil)
            },
            SteeringCase.frame("behind options", ours: true) { $0.options = [1, 1, 1, 0] },
            SteeringCase.frame("to any port of an IPv6 prefix", ours: true) {
                ($0.source, $0.destination) = ("2001:db8:9::9", "2001:db8:48:ffff::1")
                $0.destinationPort = 65535
            },
            SteeringCase.frame("behind extension headers", ours: true) {
                ($0.source, $0.destination) = ("2001:db8:9::9", "2001:db8:40::1")
                $0.extensions = [(60, [0, 1, 4, 0, 0, 0, 0]), (51, [0, 0, 0, 0, 0, 0, 0])]
            },
        ],
    ])

    private static let replyCases = SteeringCase.all([
        SteeringCase.frames(
            "a backend's reply", ours: true, to: SteeringCase.pool, from: SteeringCase.snatBackends
        ) {
            ($0.sourcePort, $0.destinationPort) = (80, 1024)
        },
        SteeringCase.frames(
            "to a port that is not of the pool", ours: false, to: SteeringCase.pool,
            from: SteeringCase.snatBackends
        ) {
            ($0.sourcePort, $0.destinationPort) = (80, 1023)
        },
        SteeringCase.frames(
            "from another port of it", ours: false, to: SteeringCase.pool,
            from: SteeringCase.snatBackends
        ) {
            ($0.sourcePort, $0.destinationPort) = (22, 1024)
        },
        SteeringCase.frames(
            "from a backend of dsr", ours: false, to: SteeringCase.pool,
            from: SteeringCase.dsrBackends
        ) {
            ($0.sourcePort, $0.destinationPort) = (80, 1024)
        },
        SteeringCase.frames(
            "to others", ours: false, to: SteeringCase.strangers, from: SteeringCase.snatBackends
        ) {
            ($0.sourcePort, $0.destinationPort) = (80, 1024)
        },
    ])

    @Test func `port 0 stands for any port of a backend`() {
        var plan = SteeringCase.plan
        plan.snatSources = [
            .init(address: PlanFixture.address("20.1.1.20"), port: 0, transport: .tcp)
        ]
        let reply = PacketBuilder().with {
            ($0.source, $0.sourcePort) = ("20.1.1.20", 4711)
            ($0.destination, $0.destinationPort) = ("20.1.1.2", 2000)
        }
        #expect(SteeringCase.isOurs(reply.frame, plan))
        #expect(!SteeringCase.isOurs(reply.with { $0.tcpFlags = nil }.frame, plan))
    }

    // MARK: Fragments, and what cannot be read

    private static func fragments(
        _ sentence: String, ours: Bool, from source: String, to destination: String
    ) -> [SteeringCase] {
        let packet = PacketBuilder().with {
            ($0.source, $0.destination, $0.destinationPort) = (source, destination, 9)
            $0.payload = [UInt8](repeating: 7, count: 60)
        }
        return packet.fragments(of: 32).enumerated().map { index, frame in
            SteeringCase(
                testDescription: "\(sentence), piece \(index) (\(source) > \(destination))",
                isOurs: ours, frame: frame)
        }
    }

    private static let fragmentCases = SteeringCase.all([
        fragments("to a VIP, whatever the port", ours: true, from: "10.0.0.9", to: "40.1.1.1"),
        fragments("to a VIP", ours: true, from: "2001:db8:9::9", to: "2001:db8:40::1"),
        fragments("from a backend to the pool", ours: true, from: "20.1.1.20", to: "20.1.1.2"),
        fragments(
            "from a backend to the pool", ours: true, from: "2001:db8:20::20",
            to: "2001:db8:20::2"),
        fragments("from others to the pool", ours: false, from: "10.0.0.9", to: "20.1.1.2"),
        fragments("from a backend to others", ours: false, from: "20.1.1.20", to: "40.9.9.9"),
        [
            SteeringCase.frame("an atomic fragment to a port that is offered", ours: true) {
                ($0.source, $0.destination) = ("2001:db8:9::9", "2001:db8:40::1")
                $0.extensions = [(44, [0, 0, 0, 0, 0, 0, 1])]
            },
            SteeringCase.frame("an atomic fragment to one that is not", ours: false) {
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
    ) -> SteeringCase {
        SteeringCase.frame(sentence, ours: ours) {
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
        SteeringCase.frame("a header length under five words, to a VIP", ours: true) { _ in }
            .changing(14, to: 0x44),
        SteeringCase.frame("the same to nobody's address", ours: false) {
            $0.destination = "40.9.9.9"
        }
        .changing(14, to: 0x44),
        SteeringCase.frame("a protocol that no service has", ours: false) { _ in }.changing(
            23, to: 132),
        SteeringCase.frame("ICMPv6 in IPv4", ours: false) { _ in }.changing(23, to: 58),
    ]
}
