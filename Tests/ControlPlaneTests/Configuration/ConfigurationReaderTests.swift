// SPDX-License-Identifier: Apache-2.0
import DataPlane
import Testing

@testable import ControlPlane

/// What the keys of a file become.
@Suite struct ConfigurationReaderTests {
    private static let head = "version: 1\ninterfaces: [{name: eth0}]\n"

    /// Reads lines after the head; there must be no problem.
    private static func read(_ text: String, head: String = head) throws -> Configuration {
        let result = ConfigurationReader.read(head + text)
        #expect(result.problems.isEmpty, "\(result.problems.map(\.message))")
        return try #require(result.configuration)
    }

    /// What is said of lines after the head, in their order.
    private static func messages(_ text: String, host: HostFacts? = nil) -> [String] {
        ConfigurationReader.read(head + text, host: host).problems.map(\.message)
    }

    private static func service(_ text: String) throws -> ServiceConfiguration {
        let read = try read(
            "services:\n  - {name: web, vips: [203.0.113.10], ports: [80/tcp, 443/udp], "
                + "backends: [10.1.1.11, 10.1.1.12]\(text)}\n")
        return try #require(read.services.first)
    }

    private static let host = HostFacts(
        addresses: ["192.0.2.5", "2001:db8::5"].compactMap { IPAddress($0) }, mtu: 9000,
        queueCount: 1, localPorts: 32768...60999, cpus: [0], othersReadKey: nil)

    @Test func `without a key there is its default`() throws {
        let all = try Self.read("")
        #expect(all.interface.vlan == nil && all.interface.fixedNextHops.isEmpty)
        #expect(all.connections.fragments == .track && all.connections.newPerSource == nil)
        #expect(all.icmp.echoReply && all.icmp.errorsPerSecond == 1000)
        #expect(all.encapsulation.tooBig == .reply && all.encapsulation.mssClamp == .none)
        let service = try Self.service("")
        #expect(service.policy.affinity == .fiveTuple && service.policy.onNoBackend == .drop)
        #expect(service.sourceRanges.isEmpty && service.minimumBackends == 1)
    }

    @Test(
        arguments: [
            ("off", nil), ("none", nil), ("1", .init(budget: 1)), ("64", .init()),
            ("{enabled: false, usec: 20, budget: 64}", nil), ("{budget: 32}", .init(budget: 32)),
            ("{enabled: true, usec: 50}", .init(budget: 64, microseconds: 50)),
        ] as [(String, WorkerConfiguration.BusyPoll?)])
    func `busy polling is off or has a budget and a time`(
        text: String, busyPoll: WorkerConfiguration.BusyPoll?
    ) throws {
        #expect(try Self.read("workers: {busy_poll: \(text)}\n").workers.busyPoll == busyPoll)
        #expect(try Self.read("").workers.busyPoll == nil)
    }

    @Test func `busy polling by a worker that sleeps is warned of`() {
        let messages = Self.messages("workers: {busy_poll: 64, idle: block}\n")
        #expect(messages.count == 1 && messages[0].hasPrefix("busy_poll has no effect"))
    }

    @Test func `the interface has a VLAN and a next hop of each family`() throws {
        let text = """
            version: 1
            interfaces: [{name: eth0, vlan: 4094, next_hop: {ipv4: 10.0.0.1, ipv6: "fe80::1"}}]
            """
        let interface = try Self.read("", head: text).interface
        #expect(interface.vlan == 4094)
        #expect(interface.fixedNextHops.map(\.description) == ["10.0.0.1", "fe80::1"])
    }

    @Test(arguments: ["''", "\"\"", "' '", "'\"'"])
    func `a key of no letters that is given twice is told as such`(key: String) {
        let messages = Self.messages("log: {\(key): 1, \(key): 2}\n")
        #expect(messages.count == 1)
        #expect(messages.first?.hasSuffix("is given twice") == true)
    }

    @Test func `one family alone may have a fixed next hop`() throws {
        let text = "version: 1\ninterfaces: [{name: eth0, next_hop: {ipv6: \"fe80::1\"}}]\n"
        let interface = try Self.read("", head: text).interface
        #expect(interface.fixedNextHops.map(\.family) == [.ipv6])
    }

    @Test func `connections, ICMP and the outer header are as configured`() throws {
        let all = try Self.read(
            """
            connections: {fragments: drop, new_per_source: 250/s}
            icmp: {echo_reply: false, errors_per_second: 7}
            encapsulation: {ipv6_source: {mode: hash, prefix: "100::/64"}, too_big: drop, mss_clamp: auto}
            """)
        #expect(all.connections.fragments == .drop && all.connections.newPerSource == 250)
        #expect(!all.icmp.echoReply && all.icmp.errorsPerSecond == 7)
        #expect(all.encapsulation.ipv6SourcePrefix == IPPrefix("100::/64"))
        #expect(all.encapsulation.tooBig == .drop && all.encapsulation.mssClamp == .auto)
    }

    @Test func `a service has its own policy, and that of the defaults where it says nothing`()
        throws
    {
        let all = try Self.read(
            """
            defaults: {affinity: client_address, on_no_backend: reject}
            services:
              - {name: a, vips: [203.0.113.10], ports: [80/tcp], backends: [10.1.1.11]}
              - {name: b, vips: [203.0.113.11], ports: [443/udp], backends: [10.1.1.11],
                 affinity: quic_cid, on_no_backend: drop, minimum_backends: 1,
                 source_ranges: [198.51.100.0/24, 10.0.0.9]}
            """)
        #expect(all.services.map(\.policy.affinity) == [.clientAddress, .quicConnectionID])
        #expect(all.services.map(\.policy.onNoBackend) == [.reject, .drop])
        #expect(
            all.services[1].sourceRanges.map(\.description) == ["198.51.100.0/24", "10.0.0.9/32"])
    }

    @Test func `VIPs are addresses and prefixes, ports are ranges and any`() throws {
        let all = try Self.read(
            """
            services:
              - name: web
                vips: [203.0.113.10, 203.0.113.16/28, "2001:db8::1", "2001:db8:1::/64"]
                ports: [80/tcp, 8000-8099/tcp, any/udp]
                backends: [10.1.1.11, "2001:db8:2::1"]
            """)
        #expect(
            all.services[0].vips.map(\.shortText) == [
                "203.0.113.10", "203.0.113.16/28", "2001:db8::1", "2001:db8:1::/64",
            ])
        #expect(all.services[0].ports.map(\.ports) == [80...80, 8000...8099, ServiceKey.anyPort])
        #expect(all.services[0].keys.count == 12)
        #expect(all.services[0].keys.map(\.description).contains("[2001:db8:1::/64]:any/udp"))
    }

    @Test func `a pool has addresses, ranges and prefixes of both families`() throws {
        let all = try Self.read(
            """
            snat_pools:
              - name: p1
                addresses: [198.51.100.20-198.51.100.21, 198.51.100.32/31, "2001:db8::a-2001:db8::b", "2001:db8::20/127"]
            """)
        #expect(
            all.snatPools[0].addresses.map(\.description) == [
                "198.51.100.20", "198.51.100.21", "198.51.100.32", "198.51.100.33", "2001:db8::a",
                "2001:db8::b", "2001:db8::20", "2001:db8::21",
            ])
    }

    @Test func `a service may fall back on another one by a prefix or by any port`() throws {
        _ = try Self.read(
            """
            services:
              - {name: a, vips: [203.0.113.0/24], ports: [any/tcp], backends: [10.1.1.11]}
              - {name: b, vips: [203.0.113.0/24], ports: [80/tcp], backends: [10.1.1.11]}
              - {name: c, vips: [203.0.113.10], ports: [80/tcp], backends: [10.1.1.11]}
            """)
    }

    @Test func `what is allowed and hardly meant is a warning`() {
        let lines = [
            "minimum_backends: 3": "'web' needs 3 eligible backends and has 1: it is never up",
            "affinity: quic_cid":
                "affinity quic_cid of 'web' has no effect: none of its ports is udp",
            "source_ranges: [\"2001:db8::/32\"]":
                "'web' has ipv4 VIPs, but no ipv4 source range: nobody is served there",
        ]
        for (line, message) in lines {
            let text =
                "services: [{name: web, vips: [203.0.113.10], ports: [80/tcp], "
                + "backends: [10.1.1.11], \(line)}]"
            #expect(Self.messages(text) == [message])
        }
    }

    @Test func `a timeout by which a failing backend stays too long is a warning`() {
        let long = """
            a backend that fails may get connections for up to 8s, longer than 3 intervals; a \
            timeout of 1333ms or less keeps to them
            """
        for (times, messages) in [
            ("interval: 2s, timeout: 2s", [long]), ("interval: 2s, timeout: 1333ms", []),
            ("interval: 2s, timeout: 2s, fall: 1", []), ("rise: 3", []),
        ] {
            let text =
                "services: [{name: web, vips: [203.0.113.10], ports: [80/tcp], "
                + "backends: [10.1.1.11], health: {type: tcp, \(times)}}]"
            #expect(Self.messages(text) == messages)
        }
    }

    @Test func `a VIP or a prefix of VIPs that is an address of this host is refused`() {
        for (vip, words) in [
            ("192.0.2.5", "192.0.2.5 is an address of this host"),
            ("192.0.2.0/24", "192.0.2.0/24 contains 192.0.2.5, an address of this host"),
            ("\"2001:db8::/64\"", "2001:db8::/64 contains 2001:db8::5, an address of this host"),
        ] {
            let text =
                "services: [{name: web, vips: [\(vip)], ports: [80/tcp], backends: [10.1.1.11]}]"
            #expect(
                Self.messages(text, host: Self.host) == [
                    "web: VIP \(words): traffic to the host itself, SSH too, would be cut off"
                ])
        }
    }

    @Test func `cores beside the interface's node are warned of`() {
        var host = Self.host
        host.cpus = [0, 1, 2, 3]
        host.nodeCPUs = [0, 1]
        let messages = Self.messages("workers: {cores: [1, 2, 3]}\n", host: host)
        #expect(
            messages == [
                """
                cores 2-3 are not on the NUMA node of eth0: every frame crosses between nodes. Its \
                cores are 0-1
                """
            ])
        host.nodeCPUs = nil
        #expect(Self.messages("workers: {cores: [1, 2, 3]}\n", host: host).isEmpty)
    }

    @Test(arguments: [(64512 * 2 * 2, true), (64512 * 2 * 2 + 1, false)])
    func `a pool that is used up before the connection tables is warned of`(
        entries: Int, isEnough: Bool
    ) {
        let text = """
            connections: {entries_per_worker: \(entries)}
            snat_pools: [{name: p, addresses: [198.51.100.1, "2001:db8::9"]}]
            services:
              - {name: web, vips: [203.0.113.10], ports: [80/tcp, 53/udp, 443/tcp], mode: snat,
                 snat_pool: p, backends: [10.1.1.11, 10.1.1.12]}
            """
        let messages = Self.messages(text, host: Self.host)
        #expect(messages.contains { $0.contains("has ports for 258048 connections") } != isEnough)
    }

    @Test func `a queue that would have no socket is refused`() {
        var host = Self.host
        host.queueCount = 4
        let text = "version: 1\ninterfaces: [{name: eth0, queues: 0-1}]\n"
        let messages = ConfigurationReader.read(text, host: host).problems.map(\.message)
        #expect(
            messages == [
                """
                eth0 has 4 RX queues, but queues 0-1 are configured: traffic on others would bypass \
                xdplb. 'ethtool -L eth0 combined 2' makes them match, or 'queues: all'
                """
            ])
    }

    @Test func `there is room for the backends of each service, shared ones too`() throws {
        let backends = (1...100).map { "10.1.1.\($0)" }.joined(separator: ", ")
        let all = try Self.read(
            """
            snat_pools: [{name: p, addresses: [198.51.100.1-198.51.100.9]}]
            services:
              - {name: a, vips: [203.0.113.10], ports: [80/tcp], backends: [\(backends)]}
              - {name: b, vips: [203.0.113.11], ports: [80/tcp], backends_from: a}
            """)
        #expect(all.snatCapacity == (400, 18))
        #expect(try Self.read("").snatCapacity == (256, 8))
    }

    @Test func `groups may be named, left out or none`() throws {
        let left = try Self.read("").admin
        #expect(left.changeGroup == "xdplb-admin" && left.readGroup == "xdplb")
        let named = try Self.read("admin: {change_group: ops, read_group: none}\n").admin
        #expect(named.changeGroup == "ops" && named.readGroup == nil)
    }

    @Test func `an IPv6 prefix covers the mapped addresses only if it is around them`() {
        for (text, covers) in [
            ("::/0", true), ("::/64", true), ("::/80", true), ("::fffe:0:0/95", true),
            ("::/81", false), ("::1/128", false), ("2001:db8::/32", false), ("0.0.0.0/0", false),
        ] {
            #expect(IPPrefix(text)?.coversMappedAddresses == covers, "\(text)")
        }
    }

    @Test func `a VLAN without a device is refused`() {
        var host = Self.host
        host.hasVLANDevice = false
        let text = "version: 1\ninterfaces: [{name: eth0, vlan: 5}]\n"
        let problems = ConfigurationReader.read(text, host: host).problems
        #expect(problems.map(\.severity) == [.error])
        #expect(problems[0].message.contains("ip link add link eth0 name eth0.5 type vlan id 5"))
    }
}
