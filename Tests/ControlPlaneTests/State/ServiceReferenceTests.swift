// SPDX-License-Identifier: Apache-2.0
import DataPlane
import Foundation
import TestSupport
import Testing

@testable import ControlPlane

/// Which service a command means, and what commands may not make.
@Suite struct ServiceReferenceTests {
    /// `net` at 203.0.113.0/24:any/tcp, `range` at its ports 8000-8099 and `one` at
    /// 203.0.113.10:80/tcp, `six` at [2001:db8::1]:80/tcp, `shop` with the backends of `one`.
    private static func state() throws -> DesiredState {
        let result = ConfigurationReader.read(
            """
            version: 1
            interfaces: [{name: lb0}]
            snat_pools: [{name: p4, addresses: [198.51.100.7]}]
            services:
              - {name: net, vips: [203.0.113.0/24], ports: [any/tcp], backends: [10.1.1.11]}
              - {name: range, vips: [203.0.113.0/24], ports: [8000-8099/tcp], mode: snat, backends: [10.1.1.11]}
              - {name: one, vips: [203.0.113.10], ports: [80/tcp], backends: [10.1.1.11]}
              - {name: six, vips: ["2001:db8::1"], ports: [80/tcp], backends: ["2001:db8:1::11"]}
              - {name: shop, vips: [203.0.113.11], ports: [80/tcp], mode: snat, backends_from: one}
            """)
        #expect(result.problems.isEmpty, "\(result.problems)")
        return DesiredState(try #require(result.configuration))
    }

    private static func refusal(_ change: Change) throws -> String? {
        let state = try state()
        do throws(ChangeRefused) {
            _ = try state.applying(change, by: "alice", at: Date())
            return nil
        } catch {
            return error.code
        }
    }

    private static func update(_ key: String, _ backends: String...) throws -> Change {
        .updateService(
            ServiceUpdate(
                service: ServiceReference(key),
                backends: try backends.map { text in
                    let endpoint = try #require(Endpoint(text))
                    return BackendConfiguration(address: endpoint.address, port: endpoint.port)
                }))
    }

    @Test func `a key means the service that a packet there is for`() throws {
        let state = try Self.state()
        for (key, name) in [
            ("203.0.113.10:80/tcp", "one"), ("203.0.113.10:81/tcp", "net"),
            ("203.0.113.77:8050/tcp", "range"), ("203.0.113.0/24:any/tcp", "net"),
            ("203.0.113.10:8000-8099/tcp", "range"), ("[2001:db8::1]:80/tcp", "six"),
        ] {
            let index = try state.index(of: ServiceReference(key))
            #expect(state.configuration.services[index].name == name, "\(key)")
        }
        #expect(throws: ChangeRefused.self) {
            _ = try state.index(of: ServiceReference("203.0.113.10:80/udp"))
        }
    }

    @Test func `an update at a narrower key makes a service, and leaves the wider one`() throws {
        let next = try Self.state().applying(
            try Self.update("203.0.113.12:80/tcp", "10.1.1.12"), by: "alice", at: Date())
        #expect(next.state.configuration.services.last?.name == "203.0.113.12:80/tcp")
        #expect(next.state.configuration.services[0].backends.map(\.name) == ["10.1.1.11"])
    }

    @Test func `IPv6 services are created, changed and deleted by their key`() throws {
        let key = "[2001:db8::2]:443/udp"
        var state = try Self.state()
        state = try state.applying(
            try Self.update(key, "2001:db8:1::12", "10.1.1.12"), by: "alice", at: Date()
        ).state
        state = try state.applying(try Self.update(key, "2001:db8:1::12"), by: "bob", at: Date())
            .state
        #expect(state.configuration.services.last?.backends.map(\.name) == ["2001:db8:1::12"])
        state = try state.applying(
            .deleteService(ServiceReference(key), drain: false), by: "bob", at: Date()
        ).state
        #expect(state.configuration.services.count == 5)
    }

    @Test func `a service is deleted by its name or its own key, not by a narrower one`() throws {
        let covered = ServiceReference("203.0.113.77:81/tcp")
        #expect(
            try Self.refusal(.deleteService(covered, drain: false)) == "not_its_own_key")
        for own in ["net", "203.0.113.0/24:any/tcp"] {
            #expect(
                try Self.refusal(.deleteService(ServiceReference(own), drain: false)) == nil)
        }
    }

    @Test func `what contradicts itself is refused by a word for programs`() throws {
        #expect(
            try Self.refusal(.setMode(.name("six"), .snat)) == nil, "one family, and no port")
        for (change, code) in [
            (try Self.update("203.0.113.0/24:8001/tcp", "10.1.1.12"), "key_taken"),
            (try Self.update("range", "10.1.1.12:80"), "one_port_for_several"),
            (try Self.update("range", "2001:db8:1::12"), "mixed_families_in_snat"),
            // `shop` has the same backends, and is snat.
            (try Self.update("one", "2001:db8:1::12"), "mixed_families_in_snat"),
            (try Self.update("one", "10.1.1.12:81"), "port_translation_in_dsr"),
            (try Self.update("198.51.100.0/24:80/tcp", "10.1.1.12"), "vip_in_snat_pool"),
            (try Self.update("[::/0]:80/tcp", "10.1.1.12"), "vip_covers_ipv4"),
        ] {
            #expect(try Self.refusal(change) == code)
        }
        var update = ServiceUpdate(service: .name("six"), backends: [])
        update.mode = .snat
        update.snatPool = "p4"
        #expect(try Self.refusal(.updateService(update)) == "pool_lacks_family")
    }
}
