// SPDX-License-Identifier: Apache-2.0
import DataPlane
import TestSupport

/// Plans with everything that steering depends on, and the addresses that tell it apart.
enum SteeringPlans {
    /// VIPs, prefixes in prefixes, ranges and any port, `snat` with two ranges and with backends
    /// of any port, of both families.
    static func plan(vlan: UInt16? = nil, answersEcho: Bool = true) -> ForwardingPlan {
        var plan = ForwardingPlan(
            link: .init(
                mac: MACAddress(bytes: VethPair.nearMAC) ?? .zero, mtu: 1500,
                ipv4: PlanFixture.address("20.1.1.1"), vlan: vlan),
            hashKey: PlanFixture.key)
        plan.icmp.answersEcho = answersEcho
        let offered = [
            ["40.1.1.1:80/tcp", "40.1.1.1:53/udp", "[2001:db8:40::1]:80/tcp"],
            ["40.1.1.0/24:8000-8099/tcp", "[2001:db8:40::/64]:any/udp"],
            ["40.1.1.2:any/tcp", "40.1.1.2:443/udp", "40.1.1.2:1-4095/udp"],
            ["40.2.0.0/16:any/udp", "40.2.3.0/24:63-64/tcp", "40.2.3.4:22/tcp"],
            ["[2001:db8:40::/48]:63-128/tcp", "[2001:db8:40::2]:0-65534/tcp"],
        ]
        for (index, texts) in offered.enumerated() {
            plan.services.append(
                .init(
                    id: UInt16(index), keys: texts.compactMap(key),
                    mode: .dsr,
                    maglev: MaglevTable(members: [], size: 251, key: PlanFixture.key)))
        }
        plan.snatAddresses = [
            .init(
                id: 0, address: PlanFixture.address("20.1.1.1"),
                ports: [1024...32767, 61000...65535]),
            .init(id: 1, address: PlanFixture.address("2001:db8:20::1"), ports: [4096...4096]),
        ]
        for (index, text) in (backends.ipv4 + backends.ipv6).enumerated() {
            plan.backends.append(
                .init(id: UInt16(index), address: PlanFixture.address(text), port: 0))
        }
        for (text, port, transport) in [
            ("20.1.1.10", 8080, TransportProtocol.tcp), ("20.1.1.10", 53, .udp),
            ("20.1.1.20", 0, .udp), ("2001:db8:20::10", 8080, .tcp), ("2001:db8:20::20", 0, .tcp),
        ] {
            plan.snatSources.insert(
                .init(
                    address: PlanFixture.address(text), port: UInt16(port), transport: transport))
        }
        return plan
    }

    /// As ``ServiceKey`` reads it, and port 0, which no configuration may name.
    private static func key(_ text: String) -> ServiceKey? {
        if let key = ServiceKey(text) { return key }
        guard let host = IPAddress("2001:db8:40::2") else { return nil }
        return ServiceKey(vips: IPPrefix(host), ports: 0...65534, transport: .tcp)
    }

    static let backends = (
        ipv4: ["20.1.1.10", "20.1.1.20"], ipv6: ["2001:db8:20::10", "2001:db8:20::20"]
    )
    /// SNAT addresses and one that is none.
    static let pool = (
        ipv4: ["20.1.1.1", "20.1.1.2"], ipv6: ["2001:db8:20::1", "2001:db8:20::2"]
    )
    /// In and beside the VIPs, at both ends of the prefixes.
    static let vips = (
        ipv4: [
            "40.1.1.1", "40.1.1.2", "40.1.1.0", "40.1.1.255", "40.1.2.0", "40.2.0.0", "40.2.3.4",
            "40.2.3.255", "40.2.255.255", "40.3.0.0",
        ],
        ipv6: [
            "2001:db8:40::1", "2001:db8:40::2", "2001:db8:40::3", "2001:db8:40:1::",
            "2001:db8:40:ffff::9", "2001:db8:41::", "::ffff:40.1.1.1", "2001:db8:40::",
        ]
    )
    static let clients = (ipv4: ["10.0.0.9"], ipv6: ["2001:db8::9", "::ffff:20.1.1.10"])
    static let ports: [UInt16] = [
        0, 1, 22, 53, 62, 63, 64, 65, 80, 127, 128, 129, 443, 1023, 1024, 4095, 4096, 4097, 7999,
        8000, 8063, 8064, 8080, 8099, 8100, 32767, 32768, 60999, 61000, 65534, 65535,
    ]
}
