// SPDX-License-Identifier: Apache-2.0
import DataPlane
import TestSupport
import Testing

@testable import ControlPlane

/// What `replay` and `trace --config` decide by.
@Suite struct OfflineControlTests {
    private static let text = """
        version: 1
        interfaces:
          - name: eth0
            vlan: 7
            offline: {mac: "02:00:00:00:00:01", mtu: 1400, ipv4: 192.0.2.5, ipv6: "2001:db8::5", next_hop_mac: "02:00:00:00:00:02"}
        services:
          - {name: web, vips: [203.0.113.10, "2001:db8:f::10"], ports: [80/tcp], backends: [10.1.1.11, "2001:db8:1::14"]}
          - {name: dns, vips: ["2001:db8:f::53"], ports: [53/udp], mode: snat, backends: ["[2001:db8:1::11]:5353"]}
        """

    private static func control(_ text: String = text) throws -> OfflineControl {
        let configuration = try #require(ConfigurationReader.read(text).configuration)
        return try OfflineControl(configuration, hashKey: PlanFixture.key)
    }

    private static func change(
        _ backend: String, of service: String = "web", state: String? = nil, weight: Int? = nil,
        adds: Bool = false, removes: Bool = false
    ) -> OfflineBackendChange {
        OfflineBackendChange(
            service: service, backend: backend, state: state, weight: weight, adds: adds,
            removes: removes)
    }

    @Test func `the interface is what offline says, and everything goes to its next hop`() throws {
        let plan = try Self.control().plan
        #expect(plan.link.mtu == 1400 && plan.link.vlan == 7)
        #expect(plan.link.ipv4 == PlanFixture.address("192.0.2.5"))
        #expect(plan.link.ipv6 == PlanFixture.address("2001:db8::5"))
        #expect(Set(plan.nextHops.map(\.mac)) == [MACAddress("02:00:00:00:00:02")])
        #expect(Set(plan.routes.map(\.prefix.description)) == ["0.0.0.0/0", "::/0"])
        #expect(plan.backends.allSatisfy { $0.admits == .newConnections && $0.nextHop != nil })
        #expect(plan.snatAddresses.map(\.address.description) == ["2001:db8::5"])
        #expect(plan.snatAddresses[0].ports == [1024...65535])
    }

    @Test func `without offline facts it says what is missing`() throws {
        #expect {
            _ = try Self.control("version: 1\ninterfaces: [{name: eth0}]\n")
        } throws: { error in
            (error as? ChangeRefused)?.code == "no_offline_facts"
        }
    }

    @Test func `down ends connections, drain keeps them, up takes new ones`() throws {
        var control = try Self.control()
        for (state, admits) in [
            ("down", ForwardingPlan.Admits.nothing), ("drain", .trackedConnections),
            ("up", .newConnections),
        ] {
            try control.apply([Self.change("2001:db8:1::14", state: state)])
            let backend = control.plan.backends.first { $0.address.family == .ipv6 }
            #expect(backend?.admits == admits)
        }
    }

    @Test func `changes are made together or not at all`() throws {
        var control = try Self.control()
        let generation = control.plan.generation
        #expect(throws: ChangeRefused.self) {
            try control.apply([
                Self.change("10.1.1.11", state: "down"), Self.change("10.9.9.9", state: "down"),
            ])
        }
        #expect(control.plan.generation == generation)
        #expect(control.plan.backends.allSatisfy { $0.admits == .newConnections })
        try control.apply([
            Self.change("10.1.1.12", weight: 7, adds: true),
            Self.change("10.1.1.11", removes: true),
        ])
        let web = control.plan.services[0].backends.compactMap(control.backendAddress)
        #expect(web == ["2001:db8:1::14", "10.1.1.12"])
    }

    @Test func `an added backend that contradicts its service is refused`() throws {
        var control = try Self.control()
        #expect(throws: ChangeRefused.self) {
            try control.apply([Self.change("10.1.1.12", of: "dns", adds: true)])
        }
    }

    @Test func `numbers have names`() throws {
        let control = try Self.control()
        let services = control.plan.services.map(\.id)
        #expect(services.compactMap(control.serviceName) == ["web", "dns"])
        #expect(control.serviceName(99) == nil && control.backendAddress(99) == nil)
    }
}
