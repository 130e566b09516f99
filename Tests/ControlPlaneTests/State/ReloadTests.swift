// SPDX-License-Identifier: Apache-2.0
import DataPlane
import Foundation
import TestSupport
import Testing

@testable import ControlPlane

@Suite struct ReloadTests {
    private static func file(_ addresses: String..., weight: UInt16 = 100) -> Configuration {
        var configuration = Configuration(interface: InterfaceConfiguration(name: "lb0"))
        configuration.services = [
            ServiceConfiguration(
                name: "web", vips: [IPPrefix(PlanFixture.address("40.1.1.1"))],
                ports: [ServicePort(port: 80, transport: .tcp)], mode: .snat,
                backends: addresses.map {
                    BackendConfiguration(address: PlanFixture.address($0), weight: weight)
                })
        ]
        return configuration
    }

    private func drained(_ state: DesiredState) throws -> DesiredState {
        let reference = BackendReference(service: .name("web"), backend: "20.1.1.10")
        return try state.applying(.setAdminState(reference, .draining), by: "alice", at: Date())
            .state
    }

    private func weights(_ state: DesiredState) -> [UInt16] {
        state.configuration.services[0].backends.map(\.weight)
    }

    private func adminStates(_ state: DesiredState) -> [AdminState] {
        state.configuration.services[0].backends.map(\.adminState)
    }

    @Test func `what a command set stays until the file changes the same key`() throws {
        let state = try drained(DesiredState(Self.file("20.1.1.10", "20.1.1.20")))
        let same = state.reloading(Self.file("20.1.1.10", "20.1.1.20"), at: .now)
        #expect(adminStates(same.state) == [.draining, .active])
        #expect(same.lost.isEmpty)
        // Another key of the backend changes: the state stays.
        let other = state.reloading(Self.file("20.1.1.10", "20.1.1.20", weight: 7), at: .now)
        #expect(adminStates(other.state) == [.draining, .active])
        #expect(other.state.configuration.services[0].backends[0].weight == 7)
        var changed = Self.file("20.1.1.10", "20.1.1.20")
        changed.services[0].backends[0].adminState = .disabled
        #expect(adminStates(state.reloading(changed, at: .now).state) == [.disabled, .active])
    }

    @Test func `overrides are written and read back`() throws {
        let state = try drained(DesiredState(Self.file("20.1.1.10", "20.1.1.20")))
        let data = try AdminJSON.encode(state.overrides)
        let read = try AdminJSON.decode([BackendOverride].self, from: data)
        #expect(read.map(\.adminState) == state.overrides.map(\.adminState))
        let again = DesiredState(Self.file("20.1.1.10", "20.1.1.20"), keeping: read)
        #expect(adminStates(again) == [.draining, .active])
        #expect(again.marks.values.map(\.user) == ["alice"])
        #expect(!DesiredState(Self.file("20.1.1.10")).differsFromFile)
        #expect(again.differsFromFile)
    }

    @Test func `a removed backend retires, and one that comes back does not`() {
        let before = DesiredState(Self.file("20.1.1.10", "20.1.1.20"))
        let without = before.reloading(Self.file("20.1.1.10"), at: .now).state
        #expect(without.retiring.map(\.configuration.name) == ["20.1.1.20"])
        let back = without.reloading(Self.file("20.1.1.10", "20.1.1.20"), at: .now).state
        #expect(back.retiring.isEmpty)
        let undone = before.returning(from: without, at: .now).state
        #expect(undone.retiring.isEmpty)
        #expect(undone.differsFromFile)
    }

    @Test func `after an undone reload the same file is applied anew`() {
        let file = Self.file("20.1.1.10", "20.1.1.20", weight: 7)
        let before = DesiredState(Self.file("20.1.1.10", "20.1.1.20"))
        let undone = before.returning(from: before.reloading(file, at: .now).state, at: .now).state
        #expect(weights(undone) == [100, 100])
        #expect(undone.overrides.isEmpty)
        #expect(weights(undone.reloading(file, at: .now).state) == [7, 7])
        #expect(!undone.reloading(file, at: .now).state.differsFromFile)
    }

    @Test func `what commands set before a reload is undone outlives that`() throws {
        let before = try drained(DesiredState(Self.file("20.1.1.10", "20.1.1.20")))
        var later = before.reloading(Self.file("20.1.1.10", "20.1.1.20", weight: 7), at: .now).state
        for (backend, state) in [("20.1.1.10", AdminState.active), ("20.1.1.20", .draining)] {
            let reference = BackendReference(service: .name("web"), backend: backend)
            later = try later.applying(.setAdminState(reference, state), by: "bob", at: Date())
                .state
        }
        let undone = before.returning(from: later, at: .now).state
        #expect(adminStates(undone) == [.active, .draining])
        #expect(weights(undone) == [100, 100])
        #expect(undone.overrides.map(\.user) == ["bob"])
    }

    @Test func `services that commands changed are named as lost`() throws {
        let state = DesiredState(Self.file("20.1.1.10"))
        let update = ServiceUpdate(
            service: .name("web"),
            backends: [BackendConfiguration(address: PlanFixture.address("20.1.1.30"))])
        let changed = try state.applying(.updateService(update), by: "alice", at: Date()).state
        #expect(changed.reloading(Self.file("20.1.1.10"), at: .now).lost == ["web"])
    }

    /// A change of each key that is no service's, and the key that must be told.
    private static let changes: [(key: String, change: @Sendable (inout Configuration) -> Void)] = [
        ("node.name", { $0.nodeName = "other" }),
        ("interfaces.name", { $0.interface.name = "eth9" }),
        ("interfaces.attach_mode", { $0.interface.attachMode = .generic }),
        ("interfaces.bind_mode", { $0.interface.bindMode = .copy }),
        ("interfaces.queues", { $0.interface.queues = [0] }),
        ("interfaces.rx_ring", { $0.interface.rxRing = 64 }),
        ("interfaces.tx_ring", { $0.interface.txRing = 64 }),
        ("interfaces.fill_ring", { $0.interface.fillRing = 64 }),
        ("interfaces.completion_ring", { $0.interface.completionRing = 64 }),
        ("interfaces.chunk_size", { $0.interface.chunkSize = 2048 }),
        ("interfaces.vlan", { $0.interface.vlan = 7 }),
        ("interfaces.next_hop", { $0.interface.fixedNextHops = [PlanFixture.address("10.0.0.1")] }),
        ("workers.cores", { $0.workers.cores = [1] }),
        ("workers.batch", { $0.workers.batch = 8 }),
        ("workers.idle", { $0.workers.idle = .spin }),
        ("workers.busy_poll", { $0.workers.busyPoll = .init() }),
        ("memory.hugepages", { $0.memory.hugePages = .require }),
        ("memory.chunks_per_queue", { $0.memory.chunksPerQueue = 1024 }),
        ("defaults.maglev.table_size", { $0.maglev.tableSize = 251 }),
        ("defaults.maglev.hash_key_file", { $0.maglev.hashKeyFile = "/k" }),
        ("connections.entries_per_worker", { $0.connections.entriesPerWorker = 1024 }),
        ("connections.table_full", { $0.connections.tableFull = .drop }),
        ("connections.fragments", { $0.connections.fragments = .drop }),
        ("connections.new_per_source", { $0.connections.newPerSource = 5 }),
        ("icmp.echo_reply", { $0.icmp.echoReply = false }),
        ("icmp.errors_per_second", { $0.icmp.errorsPerSecond = 1 }),
        (
            "encapsulation.ipv4_source",
            { $0.encapsulation.ipv4SourcePrefix = IPPrefix("10.0.0.0/8") }
        ),
        ("encapsulation.ipv6_source", { $0.encapsulation.ipv6SourcePrefix = IPPrefix("100::/64") }),
        ("encapsulation.outer_ttl", { $0.encapsulation.outerTimeToLive = 1 }),
        ("encapsulation.dscp", { $0.encapsulation.dscp = 1 }),
        ("encapsulation.too_big", { $0.encapsulation.tooBig = .drop }),
        ("encapsulation.mss_clamp", { $0.encapsulation.mssClamp = .auto }),
        (
            "snat_pools",
            { $0.snatPools = [.init(name: "p", addresses: [PlanFixture.address("10.0.0.2")])] }
        ),
        ("admin.socket", { $0.admin.socket = "/s" }),
        ("admin.change_group", { $0.admin.changeGroup = "g" }),
        ("admin.read_group", { $0.admin.readGroup = "g" }),
        ("http.listen", { $0.httpListen = nil }),
        ("http.dashboard", { $0.hasDashboard = false }),
        ("log.format", { $0.logFormat = .json }),
        ("log.level", { $0.logLevel = .debug }),
    ]

    @Test func `no key changes unnoticed`() {
        for (key, change) in Self.changes {
            var after = Self.file("20.1.1.10")
            change(&after)
            let differences = ConfigurationKey.differences(from: Self.file("20.1.1.10"), to: after)
            #expect(differences.map(\.name) == [key])
        }
        #expect(Set(Self.changes.map(\.key)) == Set(ConfigurationKey.all.map(\.name)))
    }

    @Test func `another address of a pool is a change`() {
        var before = Self.file("20.1.1.10")
        before.snatPools = [.init(name: "p", addresses: [PlanFixture.address("10.0.0.2")])]
        var after = before
        after.snatPools[0].addresses = [PlanFixture.address("10.0.0.3")]
        #expect(ConfigurationKey.differences(from: before, to: after).map(\.name) == ["snat_pools"])
    }

    @Test func `every key that differs is told, and only those`() {
        let before = Self.file("20.1.1.10")
        var after = before
        after.interface.rxRing = 8192
        after.encapsulation.outerTimeToLive = 32
        let differences = ConfigurationKey.differences(from: before, to: after)
        #expect(differences.map(\.name) == ["interfaces.rx_ring", "encapsulation.outer_ttl"])
        #expect(differences.map(\.needsRestart) == [true, false])
        #expect(ConfigurationKey.differences(from: before, to: before).isEmpty)
    }
}
