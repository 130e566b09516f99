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

    private func adminStates(_ state: DesiredState) -> [AdminState] {
        state.configuration.services[0].backends.map(\.adminState)
    }

    @Test func whatACommandSetStaysUntilTheFileChangesTheSameKey() throws {
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

    @Test func overridesAreWrittenAndReadBack() throws {
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

    @Test func aRemovedBackendRetiresAndOneThatComesBackDoesNot() {
        let before = DesiredState(Self.file("20.1.1.10", "20.1.1.20"))
        let without = before.reloading(Self.file("20.1.1.10"), at: .now).state
        #expect(without.retiring.map(\.configuration.name) == ["20.1.1.20"])
        let back = without.reloading(Self.file("20.1.1.10", "20.1.1.20"), at: .now).state
        #expect(back.retiring.isEmpty)
        let undone = before.returning(from: without, at: .now)
        #expect(undone.retiring.isEmpty)
        #expect(undone.differsFromFile)
    }

    @Test func servicesThatCommandsChangedAreNamedAsLost() throws {
        let state = DesiredState(Self.file("20.1.1.10"))
        let update = ServiceUpdate(
            service: .name("web"),
            backends: [BackendConfiguration(address: PlanFixture.address("20.1.1.30"))])
        let changed = try state.applying(.updateService(update), by: "alice", at: Date()).state
        #expect(changed.reloading(Self.file("20.1.1.10"), at: .now).lost == ["web"])
    }

    @Test func everyKeyThatDiffersIsToldAndOnlyThose() {
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
