// SPDX-License-Identifier: Apache-2.0
import DataPlane
import Foundation
import Testing

@testable import ControlPlane

@Suite struct SnapshotCompilerTests {
    private static func address(_ text: String) throws -> IPAddress {
        try #require(IPAddress(text))
    }

    private static func configuration(
        mode: ForwardingMode, backends: [String], port: UInt16? = nil
    ) throws -> Configuration {
        var configuration = Configuration(interface: InterfaceConfiguration(name: "lb0"))
        configuration.services = [
            ServiceConfiguration(
                name: "web", vips: [IPPrefix(try address("40.1.1.1"))],
                ports: [ServicePort(port: 80, transport: .tcp)], mode: mode,
                backends: try backends.map {
                    BackendConfiguration(address: try address($0), port: port)
                })
        ]
        return configuration
    }

    private static func observed() throws -> ObservedState {
        let network = try #require(IPPrefix("20.1.1.0/24"))
        let everywhere = try #require(IPPrefix("0.0.0.0/0"))
        return ObservedState(
            mac: try #require(MACAddress("02:00:00:00:00:01")), mtu: 1500, isUp: true,
            addresses: [try address("20.1.1.1")],
            routes: [
                .init(prefix: network, gateway: nil),
                .init(prefix: everywhere, gateway: try address("20.1.1.254"), metric: 100),
            ], neighbours: [:])
    }

    private static func compile(
        _ desired: DesiredState, _ observed: ObservedState
    ) throws -> SnapshotCompiler.Result {
        let key = try #require(HashKey(bytes: [UInt8](repeating: 7, count: 16)))
        let compiler = SnapshotCompiler(
            hashKey: key, workerCount: 1, interfacePorts: [1024...32767, 61000...65535])
        let limits = IdentityRegistry.Limits(snatBackends: 16, snatAddresses: 4)
        return try compiler.compile(
            desired, observed, IdentityRegistry(limits: limits), known: [], generation: 1)
    }

    @Test func `a backend on the link is its own next hop, another goes by the gateway`() throws {
        let configuration = try Self.configuration(
            mode: .dsr, backends: ["20.1.1.10", "10.9.9.9"])
        let result = try Self.compile(DesiredState(configuration), try Self.observed())
        let hops = result.services[0].backends.map(\.nextHop?.description)
        #expect(hops == ["20.1.1.10", "20.1.1.254"])
        #expect(result.problems.isEmpty)
    }

    @Test func `a backend whose next hop does not answer gets no slots and says why`() throws {
        let configuration = try Self.configuration(
            mode: .dsr, backends: ["20.1.1.10", "20.1.1.20"])
        var observed = try Self.observed()
        observed.neighbours[try Self.address("20.1.1.20")] = .init(
            mac: nil, hasFailed: true, since: Date())
        let result = try Self.compile(DesiredState(configuration), observed)
        let silent = result.services[0].backends[1]
        #expect(silent.reason == "next hop 20.1.1.20 does not answer")
        #expect(result.services[0].maglev.slotCounts[silent.identity.id] == nil)
        #expect(result.plan.backends[1].admits == .trackedConnections)
    }

    @Test func `without an eligible backend the problem names the reasons`() throws {
        var configuration = try Self.configuration(mode: .dsr, backends: ["20.1.1.10"])
        configuration.services[0].backends[0].adminState = .draining
        let result = try Self.compile(DesiredState(configuration), try Self.observed())
        #expect(result.problems == ["web: no eligible backend (20.1.1.10 draining)"])
    }

    @Test func `snat takes the interface's address, without the kernel's own ports`() throws {
        let configuration = try Self.configuration(
            mode: .snat, backends: ["20.1.1.10"], port: 8080)
        let result = try Self.compile(DesiredState(configuration), try Self.observed())
        #expect(result.plan.snatAddresses.map(\.address.description) == ["20.1.1.1"])
        #expect(result.plan.snatAddresses.first?.ports == [1024...32767, 61000...65535])
        #expect(
            result.plan.snatSources == [
                .init(address: try Self.address("20.1.1.10"), port: 8080, transport: .tcp)
            ])
    }

    @Test func `an equal set of backends keeps its table over a compilation`() throws {
        let configuration = try Self.configuration(mode: .dsr, backends: ["20.1.1.10"])
        let desired = DesiredState(configuration)
        let first = try Self.compile(desired, try Self.observed())
        let key = try #require(HashKey(bytes: [UInt8](repeating: 7, count: 16)))
        let compiler = SnapshotCompiler(hashKey: key, workerCount: 1, interfacePorts: [])
        let second = try compiler.compile(
            desired, try Self.observed(), first.identities, known: first.services, generation: 2)
        #expect(second.services[0].maglev === first.services[0].maglev)
    }

    @Test func `a removed backend keeps its connections and gets no new ones`() throws {
        let configuration = try Self.configuration(
            mode: .dsr, backends: ["20.1.1.10", "20.1.1.20"])
        let update = ServiceUpdate(
            service: .name("web"),
            backends: [BackendConfiguration(address: try Self.address("20.1.1.10"))])
        let next = try DesiredState(configuration).applying(
            .updateService(update), by: "alice", at: Date())
        let result = try Self.compile(next.state, try Self.observed())
        #expect(result.services[0].backends.map(\.isRemoved) == [false, true])
        #expect(result.plan.backends.map(\.admits) == [.newConnections, .trackedConnections])
    }

    @Test func `dsr with another port at the backend is refused and changes nothing`() throws {
        let configuration = try Self.configuration(
            mode: .snat, backends: ["20.1.1.10"], port: 8080)
        #expect(throws: ChangeRefused.self) {
            _ = try DesiredState(configuration).applying(
                .setMode(.name("web"), .dsr), by: "alice", at: Date())
        }
    }
}
