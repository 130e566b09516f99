// SPDX-License-Identifier: Apache-2.0
import DataPlane
import Foundation
import TestSupport
import Testing

@testable import ControlPlane

/// Plans of both families, patterns and policies.
@Suite struct SnapshotFamilyTests {
    private static func prefix(_ text: String) throws -> IPPrefix {
        try #require(IPPrefix(addressOrPrefix: text))
    }

    /// One service, `web`.
    private static func configuration(
        _ mode: ForwardingMode, vips: [String], ports: [String] = ["80/tcp"], backends: [String]
    ) throws -> Configuration {
        var configuration = Configuration(interface: InterfaceConfiguration(name: "lb0"))
        configuration.services = [
            ServiceConfiguration(
                name: "web", vips: try vips.map(prefix),
                ports: try ports.map { text in
                    ServicePort(try #require(ServiceKey("0.0.0.0:\(text)")))
                }, mode: mode,
                backends: try backends.map { text in
                    let endpoint = try #require(Endpoint(text))
                    return BackendConfiguration(address: endpoint.address, port: endpoint.port)
                })
        ]
        return configuration
    }

    /// 20.1.1.1/24 and 2001:db8:20::1/64, with gateways .254 and fe80::fe.
    private static func observed(_ addresses: [String] = ["fe80::1", "20.1.1.1", "2001:db8:20::1"])
        throws -> ObservedState
    {
        ObservedState(
            mac: .zero, mtu: 1500, isUp: true, addresses: addresses.map(PlanFixture.address),
            routes: [
                .init(prefix: try prefix("20.1.1.0/24"), gateway: nil),
                .init(prefix: try prefix("0.0.0.0/0"), gateway: PlanFixture.address("20.1.1.254")),
                .init(prefix: try prefix("2001:db8:20::/64"), gateway: nil, metric: 256),
                .init(
                    prefix: try prefix("::/0"), gateway: PlanFixture.address("fe80::fe"),
                    metric: 1024),
            ], neighbours: [:])
    }

    private static func compile(
        _ configuration: Configuration, _ observed: ObservedState, workers: Int = 1,
        interfacePorts: [ClosedRange<UInt16>] = [1024...32767]
    ) throws -> SnapshotCompiler.Result {
        let compiler = SnapshotCompiler(
            hashKey: PlanFixture.key, workerCount: workers, interfacePorts: interfacePorts)
        let limits = IdentityRegistry.Limits(snatBackends: 16, snatAddresses: 8)
        return try compiler.compile(
            DesiredState(configuration), observed, IdentityRegistry(limits: limits), known: [],
            generation: 1)
    }

    @Test func `the link has an address of each family, and never the link-local one`() throws {
        let configuration = try Self.configuration(
            .dsr, vips: ["40.1.1.1"], backends: ["20.1.1.10"])
        let link = try Self.compile(configuration, try Self.observed()).plan.link
        #expect(link.ipv4 == PlanFixture.address("20.1.1.1"))
        #expect(link.ipv6 == PlanFixture.address("2001:db8:20::1"))
    }

    @Test func `an IPv6 backend on the link is its own next hop, another goes by the gateway`()
        throws
    {
        let configuration = try Self.configuration(
            .dsr, vips: ["40.1.1.1"], backends: ["2001:db8:20::10", "2001:db8:99::10", "10.9.9.9"])
        let result = try Self.compile(configuration, try Self.observed())
        let hops = result.services[0].backends.map(\.nextHop?.description)
        #expect(hops == ["2001:db8:20::10", "fe80::fe", "20.1.1.254"])
        #expect(Set(result.nextHopUsers.keys.map(\.description)).contains("fe80::fe"))
        #expect(result.problems.isEmpty)
    }

    @Test func `a fixed next hop is that of its family, the other one follows the routes`() throws {
        var configuration = try Self.configuration(
            .dsr, vips: ["40.1.1.1"], backends: ["2001:db8:20::10", "20.1.1.10"])
        configuration.interface.fixedNextHops = [PlanFixture.address("fe80::aa")]
        let result = try Self.compile(configuration, try Self.observed())
        let hops = result.services[0].backends.map(\.nextHop?.description)
        #expect(hops == ["fe80::aa", "20.1.1.10"])
        let routes = result.plan.routes.filter { $0.prefix.family == .ipv6 }
        #expect(routes.map(\.prefix.description) == ["::/0"])
        let gateway = try #require(routes[0].gateway)
        #expect(result.plan.nextHops[gateway].address == PlanFixture.address("fe80::aa"))
        #expect(result.plan.routes.count { $0.prefix.family == .ipv4 } == 2)
    }

    @Test func `snat takes the pool's addresses of the family that the service has`() throws {
        var configuration = try Self.configuration(
            .snat, vips: ["2001:db8:40::1"], backends: ["2001:db8:20::10"])
        configuration.snatPools = [
            SNATPoolConfiguration(
                name: "p1",
                addresses: ["198.51.100.20", "2001:db8:99::20", "2001:db8:99::21"].map(
                    PlanFixture.address))
        ]
        configuration.services[0].snatPool = "p1"
        let plan = try Self.compile(configuration, try Self.observed()).plan
        #expect(
            plan.snatAddresses.map(\.address.description) == [
                "2001:db8:99::20", "2001:db8:99::21",
            ])
        #expect(plan.services[0].snatAddresses == [0, 1])
    }

    @Test func `without a pool snat takes the interface's address of the family`() throws {
        let configuration = try Self.configuration(
            .snat, vips: ["2001:db8:40::1"], backends: ["2001:db8:20::10"])
        let plan = try Self.compile(configuration, try Self.observed()).plan
        #expect(plan.snatAddresses.map(\.address.description) == ["2001:db8:20::1"])
        #expect(plan.snatAddresses[0].ports == [1024...32767])
    }

    @Test func `a backend that there is no address to send to from is not eligible`() throws {
        for (mode, vip, words) in [
            (ForwardingMode.dsr, "40.1.1.1", "lb0 has no ipv6 address to send from"),
            (.snat, "2001:db8:40::1", "lb0 has no ipv6 address, and no snat_pool is named"),
        ] {
            let configuration = try Self.configuration(
                mode, vips: [vip], backends: ["2001:db8:20::10"])
            let observed = try Self.observed(["20.1.1.1", "fe80::1"])
            let result = try Self.compile(configuration, observed)
            #expect(result.services[0].backends[0].reason == words)
            #expect(result.problems == ["web: no eligible backend (2001:db8:20::10 \(words))"])
        }
    }

    @Test func `a hashed outer source needs no address of the interface`() throws {
        var configuration = try Self.configuration(
            .dsr, vips: ["40.1.1.1"], backends: ["2001:db8:20::10"])
        configuration.encapsulation.ipv6SourcePrefix = IPPrefix("100::/64")
        let result = try Self.compile(configuration, try Self.observed(["20.1.1.1"]))
        #expect(result.problems.isEmpty)
        #expect(result.plan.encapsulation.ipv6SourcePrefix == IPPrefix("100::/64"))
    }

    @Test func `when the kernel hands out every port, snat has none of the interface's`() throws {
        let configuration = try Self.configuration(
            .snat, vips: ["40.1.1.1"], backends: ["20.1.1.10"])
        let result = try Self.compile(configuration, try Self.observed(), interfacePorts: [])
        #expect(result.plan.snatAddresses.isEmpty)
        #expect(
            result.services[0].backends[0].reason
                == "ip_local_port_range leaves snat no port of lb0, and no snat_pool is named")
    }

    @Test func `replies come from any port of a backend that keeps those of a range`() throws {
        let configuration = try Self.configuration(
            .snat, vips: ["40.1.1.0/24"], ports: ["80/tcp", "8000-8099/tcp", "any/udp"],
            backends: ["20.1.1.10"])
        let plan = try Self.compile(configuration, try Self.observed()).plan
        let backend = PlanFixture.address("20.1.1.10")
        #expect(
            plan.snatSources == [
                .init(address: backend, port: 80, transport: .tcp),
                .init(address: backend, port: 0, transport: .tcp),
                .init(address: backend, port: 0, transport: .udp),
            ])
        #expect(
            plan.services[0].keys.map(\.description) == [
                "40.1.1.0/24:80/tcp", "40.1.1.0/24:8000-8099/tcp", "40.1.1.0/24:any/udp",
            ])
    }

    @Test func `policies, VLAN and bounds come into the plan`() throws {
        var configuration = try Self.configuration(
            .dsr, vips: ["40.1.1.1"], backends: ["20.1.1.10"])
        configuration.interface.vlan = 100
        configuration.connections.fragments = .drop
        configuration.connections.newPerSource = 1000
        configuration.icmp = ICMPConfiguration(echoReply: false, errorsPerSecond: 50)
        configuration.encapsulation.tooBig = .drop
        configuration.encapsulation.mssClamp = .auto
        configuration.services[0].policy.affinity = .destinationPort
        configuration.services[0].policy.onNoBackend = .reject
        configuration.services[0].sourceRanges = [try Self.prefix("10.0.0.0/8")]
        let plan = try Self.compile(configuration, try Self.observed(), workers: 3).plan
        #expect(plan.link.vlan == 100 && !plan.tracksFragments)
        #expect(plan.newPerSource == 334, "a third of 1000, rounded up")
        #expect(!plan.icmp.answersEcho && plan.icmp.errorsPerSecond == 50)
        #expect(!plan.encapsulation.repliesTooBig && plan.encapsulation.clampsMSS)
        #expect(plan.services[0].affinity == .destinationPort)
        #expect(plan.services[0].onNoBackend == .reject)
        #expect(plan.services[0].sourceRanges.map(\.description) == ["10.0.0.0/8"])
    }

    @Test func `below minimum_backends the service counts as down and forwarding goes on`() throws {
        var configuration = try Self.configuration(
            .dsr, vips: ["40.1.1.1"], backends: ["20.1.1.10", "20.1.1.20"])
        configuration.services[0].minimumBackends = 2
        configuration.services[0].backends[1].adminState = .draining
        let result = try Self.compile(configuration, try Self.observed())
        #expect(
            result.problems == [
                """
                web: down, as it has 1 eligible backend and minimum_backends is 2 (20.1.1.20 \
                draining)
                """
            ])
        #expect(result.plan.backends.map(\.admits) == [.newConnections, .trackedConnections])
        #expect(result.services[0].maglev.slotCounts.count == 1)
    }

    @Test func `of equal routes always the same one is taken`() throws {
        let everywhere = try Self.prefix("::/0")
        let gateways = (1...8).map { PlanFixture.address("fe80::\($0)") }
        for _ in 0..<8 {
            let routes = gateways.shuffled().map {
                ObservedState.Route(prefix: everywhere, gateway: $0, metric: 1024)
            }
            let observed = ObservedState(
                mac: .zero, mtu: 1500, isUp: true, addresses: [], routes: Set(routes),
                neighbours: [:])
            #expect(observed.nextHop(towards: PlanFixture.address("2001:db8::1")) == gateways[0])
        }
    }
}

extension ServicePort {
    /// The ports and the protocol of a key.
    fileprivate init(_ key: ServiceKey) { self.init(ports: key.ports, transport: key.transport) }
}
