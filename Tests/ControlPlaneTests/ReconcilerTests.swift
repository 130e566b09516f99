// SPDX-License-Identifier: Apache-2.0
import Foundation
import Logging
import Synchronization
import TestSupport
import Testing

@testable import ControlPlane
@testable import DataPlane

/// A data path that notes what it is asked for, in order.
final class RecordingLink: DataPlaneHandle {
    enum Call: Equatable {
        case publish(generation: UInt64, backends: [UInt16: ForwardingPlan.Admits])
        case flush(service: UInt16?, backend: UInt16?)
    }

    let calls = Mutex<[Call]>([])
    let refuses = Atomic<Bool>(false)
    /// Publishes that are let through before one is refused; `nil` when none will be.
    let publishesBeforeRefusal = Mutex<Int?>(nil)
    /// Numbers of SNAT addresses that connections have ports of.
    let busySNATAddresses = Mutex<Set<UInt16>>([])
    /// What was asked for so far.
    var recorded: [Call] { calls.withLock { $0 } }
    var counterPages: [CounterPage] { [] }

    var facts: DataPlaneFacts {
        DataPlaneFacts(
            interface: "lb0", interfaceIndex: 2, driver: "veth", attachMode: "native",
            bindMode: "copy", numaNode: nil, workers: [WorkerFacts(queue: 0, cpu: nil)],
            umemBytes: 0, tableBytes: 0, connectionsPerWorker: 1024, usesHugePages: false)
    }

    func publish(_ plan: ForwardingPlan) async throws(PublishError) {
        let isRefused = publishesBeforeRefusal.withLock { left in
            guard let before = left else { return false }
            left = before > 0 ? before - 1 : nil
            return before == 0
        }
        if isRefused || refuses.load(ordering: .relaxed) { throw PublishError("the map is full") }
        let backends = Dictionary(uniqueKeysWithValues: plan.backends.map { ($0.id, $0.admits) })
        calls.withLock { $0.append(.publish(generation: plan.generation, backends: backends)) }
    }

    func scan(
        _ filter: ConnectionFilter, _ action: ConnectionScan.Action
    ) async -> [ConnectionScan] {
        calls.withLock { $0.append(.flush(service: filter.service, backend: filter.backend)) }
        let scan = ConnectionScan(filter, action)
        if let address = filter.snatAddress, busySNATAddresses.withLock({ $0.contains(address) }) {
            scan.add({ () -> ConnectionRecord in preconditionFailure("none is listed") }())
        }
        scan.finish()
        return [scan]
    }

    func trace(
        _ packet: ProbePacket, under plan: ForwardingPlan, _ connection: ConnectionRecord?
    ) async throws(PublishError) -> (facts: TraceFacts, outcome: TraceOutcome) {
        throw PublishError("there is no data path to trace in")
    }

    func capture(_ settings: CaptureSettings) throws(PublishError) -> any CaptureSource {
        throw PublishError("there is no data path to capture from")
    }

    func kernelCounters() -> KernelCounters { KernelCounters() }
}

@Suite struct ReconcilerTests {
    private let link = RecordingLink()

    private func reconciler(_ mode: ForwardingMode = .snat) async throws -> Reconciler {
        var configuration = Configuration(interface: InterfaceConfiguration(name: "lb0"))
        configuration.services = [
            ServiceConfiguration(
                name: "web", vips: [IPPrefix(PlanFixture.address("40.1.1.1"))],
                ports: [ServicePort(port: 80, transport: .tcp)], mode: mode,
                backends: ["20.1.1.10", "20.1.1.20"].map {
                    BackendConfiguration(address: PlanFixture.address($0))
                })
        ]
        let network = try #require(IPPrefix("20.1.1.0/24"))
        let observed = ObservedState(
            mac: .zero, mtu: 1500, isUp: true, addresses: [PlanFixture.address("20.1.1.1")],
            routes: [.init(prefix: network, gateway: nil)], neighbours: [:])
        let start = Reconciler.Start(
            configuration: configuration, observed: observed,
            hashKey: PlanFixture.key,
            capacity: PipelineCapacity(
                connections: 1024, snatBackends: 4, snatAddresses: 2, snatPortsPerAddress: 65536),
            workerCount: 1, interfacePorts: [1024...32767])
        let reconciler = try Reconciler(start, link: link, events: EventLog(Logger(label: "test")))
        try await reconciler.begin()
        link.calls.withLock { $0 = [] }
        return reconciler
    }

    private func apply(_ change: Change, to reconciler: Reconciler) async throws -> ChangeReport {
        try await reconciler.apply(change, by: "alice", ifGeneration: nil, dryRun: false)
    }

    /// A connection's SNAT port and references are found by its backend's address: without it they
    /// would leak.
    @Test func `a deleted service's backends stay in the plan until its connections were ended`()
        async throws
    {
        let reconciler = try await reconciler()
        _ = try await apply(.deleteService(.name("web"), drain: false), to: reconciler)
        #expect(
            link.recorded == [
                .publish(generation: 2, backends: [0: .nothing, 1: .nothing]),
                .flush(service: 0, backend: nil),
            ])
        #expect(await reconciler.view().services.isEmpty)
    }

    @Test func `a number is given again only after its connections were ended, with another epoch`()
        async throws
    {
        let reconciler = try await reconciler()
        _ = try await apply(.deleteService(.name("web"), drain: false), to: reconciler)
        let key = try #require(ServiceKey("40.1.1.1:80/tcp"))
        let update = ServiceUpdate(
            service: .key(key),
            backends: [BackendConfiguration(address: PlanFixture.address("20.1.1.10"))])
        _ = try await apply(.updateService(update), to: reconciler)
        let view = await reconciler.view()
        #expect(view.services.map(\.id) == [0])
        #expect(view.services[0].backends.count == 1)
    }

    @Test func `a removed backend is kept for its time, then flushed before it leaves the plan`()
        async throws
    {
        let reconciler = try await reconciler()
        let update = ServiceUpdate(
            service: .name("web"),
            backends: [BackendConfiguration(address: PlanFixture.address("20.1.1.10"))])
        _ = try await apply(.updateService(update), to: reconciler)
        await reconciler.endRetired(at: .now)
        #expect(
            link.recorded == [
                .publish(generation: 2, backends: [0: .newConnections, 1: .trackedConnections])
            ])
        await reconciler.endRetired(at: .now + .seconds(301))
        #expect(
            Array(link.recorded.dropFirst()) == [
                .flush(service: nil, backend: 1),
                .publish(generation: 3, backends: [0: .newConnections]),
            ])
    }

    @Test func `what cannot be published changes nothing`() async throws {
        let reconciler = try await reconciler()
        link.refuses.store(true, ordering: .relaxed)
        let backend = BackendReference(service: .name("web"), backend: "20.1.1.10")
        await #expect(throws: ChangeRefused.self) {
            _ = try await apply(.setAdminState(backend, .draining), to: reconciler)
        }
        let view = await reconciler.view()
        #expect(view.generation == 1)
        #expect(view.services[0].eligibleCount == 2)
    }

    @Test func `a change for another generation is refused`() async throws {
        let reconciler = try await reconciler()
        await #expect(throws: ChangeRefused.self) {
            _ = try await reconciler.apply(
                .setMode(.name("web"), .dsr), by: "alice", ifGeneration: 7, dryRun: false)
        }
        #expect(link.recorded.isEmpty)
    }

    @Test func `a dry run says what would move and publishes nothing`() async throws {
        let reconciler = try await reconciler()
        let backend = BackendReference(service: .name("web"), backend: "20.1.1.10")
        let report = try await reconciler.apply(
            .setWeight(backend, 300), by: "alice", ifGeneration: nil, dryRun: true)
        #expect(report.isDryRun && report.movedSlots > 10_000 && report.generation == 1)
        #expect(link.recorded.isEmpty)
    }

    @Test func `a new service at an address of this host is refused, a prefix around it too`()
        async throws
    {
        let reconciler = try await reconciler()
        for key in ["20.1.1.1:80/tcp", "20.1.1.0/24:any/tcp"] {
            let update = ServiceUpdate(service: ServiceReference(key), backends: [])
            await #expect {
                _ = try await apply(.updateService(update), to: reconciler)
            } throws: { error in
                (error as? ChangeRefused)?.code == "vip_of_this_host"
            }
        }
        #expect(link.recorded.isEmpty)
    }

    @Test func `a drain that is refused gives nobody fewer connections`() async throws {
        let reconciler = try await reconciler()
        let wide = ServiceUpdate(
            service: ServiceReference("40.1.0.0/16:any/tcp"),
            backends: [BackendConfiguration(address: PlanFixture.address("20.1.1.10"))])
        _ = try await apply(.updateService(wide), to: reconciler)
        await #expect(throws: ChangeRefused.self) {
            let covered = ServiceReference("40.1.2.3:80/tcp")
            _ = try await apply(.deleteService(covered, drain: true), to: reconciler)
        }
        #expect(await reconciler.view().services[1].eligibleCount == 1)
    }

    @Test func `a service whose deletion fails after its drain goes on`() async throws {
        let reconciler = try await reconciler()
        link.publishesBeforeRefusal.withLock { $0 = 1 }
        await #expect(throws: ChangeRefused.self) {
            try await apply(.deleteService(.name("web"), drain: true), to: reconciler)
        }
        let publishes = link.recorded.filter { if case .publish = $0 { true } else { false } }
        #expect(
            publishes == [
                .publish(
                    generation: 2, backends: [0: .trackedConnections, 1: .trackedConnections]),
                .publish(generation: 3, backends: [0: .newConnections, 1: .newConnections]),
            ])
        #expect(await reconciler.view().services.map(\.eligibleCount) == [2])
    }

    @Test func `an observation that changes nothing in the plan publishes nothing`() async throws {
        let reconciler = try await reconciler()
        let network = try #require(IPPrefix("20.1.1.0/24"))
        var observed = ObservedState(
            mac: .zero, mtu: 1500, isUp: true, addresses: [PlanFixture.address("20.1.1.1")],
            routes: [.init(prefix: network, gateway: nil)], neighbours: [:])
        #expect(await reconciler.observe(observed))
        #expect(link.recorded.isEmpty)
        observed.neighbours[PlanFixture.address("20.1.1.10")] = .init(
            mac: nil, hasFailed: true, since: Date())
        #expect(await reconciler.observe(observed))
        #expect(
            link.recorded == [
                .publish(generation: 2, backends: [0: .trackedConnections, 1: .newConnections])
            ])
    }

    @Test func `an observation that cannot be published is refused, and taken when told again`()
        async throws
    {
        let reconciler = try await reconciler()
        let moved = try Self.observed(at: "20.1.1.2")
        link.refuses.store(true, ordering: .relaxed)
        #expect(await !reconciler.observe(moved))
        link.refuses.store(false, ordering: .relaxed)
        #expect(await reconciler.observe(moved))
        #expect(await reconciler.view().generation == 2)
    }

    // MARK: SNAT addresses; there is room for two

    private static func observed(at address: String) throws -> ObservedState {
        let network = try #require(IPPrefix("20.1.1.0/24"))
        return ObservedState(
            mac: .zero, mtu: 1500, isUp: true, addresses: [PlanFixture.address(address)],
            routes: [.init(prefix: network, gateway: nil)], neighbours: [:])
    }

    @Test func `an interface that has one address after the other goes on with each`() async throws
    {
        let reconciler = try await reconciler()
        for last in 2...9 {
            #expect(await reconciler.observe(try Self.observed(at: "20.1.1.\(last)")))
            await reconciler.releaseSNATAddresses()
            let view = await reconciler.view()
            #expect(view.services[0].eligibleCount == 2)
            #expect(view.snatAddresses.map(\.address.description) == ["20.1.1.\(last)"])
        }
    }

    @Test func `an address whose giving back cannot be published is given back later`() async throws
    {
        let reconciler = try await reconciler()
        _ = await reconciler.observe(try Self.observed(at: "20.1.1.2"))
        link.refuses.store(true, ordering: .relaxed)
        await reconciler.releaseSNATAddresses()
        #expect(await reconciler.view().snatAddresses.count == 2)
        link.refuses.store(false, ordering: .relaxed)
        await reconciler.releaseSNATAddresses()
        let addresses = await reconciler.view().snatAddresses
        #expect(addresses.map(\.address.description) == ["20.1.1.2"])
    }

    @Test func `an address that connections have ports of keeps its number`() async throws {
        let reconciler = try await reconciler()
        link.busySNATAddresses.withLock { $0 = [0] }
        _ = await reconciler.observe(try Self.observed(at: "20.1.1.2"))
        await reconciler.releaseSNATAddresses()
        let addresses = await reconciler.view().snatAddresses
        #expect(addresses.map(\.address.description) == ["20.1.1.1", "20.1.1.2"])
    }

    @Test func `without a number for its address a service waits, and the rest is taken over`()
        async throws
    {
        let reconciler = try await reconciler()
        link.busySNATAddresses.withLock { $0 = [0, 1] }
        _ = await reconciler.observe(try Self.observed(at: "20.1.1.2"))
        var third = try Self.observed(at: "20.1.1.3")
        third.mtu = 1400
        #expect(await reconciler.observe(third))
        let waiting = await reconciler.view()
        #expect(waiting.services[0].eligibleCount == 0)
        #expect(
            waiting.services[0].backends[0].reason?.hasPrefix("waits for a SNAT address") == true)
        link.busySNATAddresses.withLock { $0 = [0] }
        await reconciler.releaseSNATAddresses()
        #expect(await reconciler.view().services[0].eligibleCount == 2)
    }
}
