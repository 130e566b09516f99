// SPDX-License-Identifier: Apache-2.0
public import DataPlane
internal import struct Foundation.Date

/// Brings what runs to what is wanted: compiles, publishes, and keeps what was published.
///
/// The one owner of desired state, identities and the running plan. Decides nothing about packets
/// or services: ``DesiredState`` says what a change means, ``SnapshotCompiler`` what follows.
public actor Reconciler: ControlPlaneService {
    let link: any DataPlaneHandle
    private let compiler: SnapshotCompiler
    let events: EventLog
    let checker: HealthChecker?
    let source: ConfigurationSource?
    let supervisor: Supervisor?
    let startedAt = Date()

    var desired: DesiredState
    var observed: ObservedState
    var running: SnapshotCompiler.Result
    var generation: UInt64
    var appliedAt = Date()
    /// What probes found at the last generation.
    var health: SnapshotCompiler.HealthTable = [:]
    var lastReload = ReloadState()
    var confirmation: Confirmation?
    var history = PublicationHistory()
    let gate = Gate()

    /// What the reconciler starts from.
    public struct Start: Sendable {
        /// What is to run.
        public var configuration: Configuration
        /// What was changed by command before, in the state directory.
        var overrides: [BackendOverride] = []
        /// Number of the first generation.
        var generation: UInt64 = 1
        /// What was observed.
        public var observed: ObservedState
        /// What flow hashes and Maglev tables are keyed with.
        public var hashKey: HashKey
        /// Sizes of the workers' tables.
        public var capacity: PipelineCapacity
        /// Workers there are.
        public var workerCount: Int
        /// Ports of the interface's own address that `snat` may use.
        public var interfacePorts: [ClosedRange<UInt16>]

        /// A start of its parts.
        public init(
            configuration: Configuration, observed: ObservedState,
            hashKey: HashKey, capacity: PipelineCapacity, workerCount: Int,
            interfacePorts: [ClosedRange<UInt16>]
        ) {
            self.configuration = configuration
            self.observed = observed
            self.hashKey = hashKey
            self.capacity = capacity
            self.workerCount = workerCount
            self.interfacePorts = interfacePorts
        }

        /// The first plan, which the workers start with.
        ///
        /// - Throws: When the configuration is over what there is room for.
        public func plan() throws(ChangeRefused) -> ForwardingPlan { try compile().plan }

        /// Continues what a state directory has from before: what commands set, and the numbers of
        /// generations.
        public mutating func resume(_ store: StateStore) {
            overrides = store.loadOverrides()
            generation = (store.generations.last ?? 0) + 1
        }

        fileprivate var compiler: SnapshotCompiler {
            SnapshotCompiler(
                hashKey: hashKey, workerCount: workerCount, interfacePorts: interfacePorts)
        }

        fileprivate func compile() throws(ChangeRefused) -> SnapshotCompiler.Result {
            let limits = IdentityRegistry.Limits(
                snatBackends: capacity.snatBackends, snatAddresses: capacity.snatAddresses)
            return try compiler.compile(
                desired, observed, health: [:], IdentityRegistry(limits: limits), known: [],
                generation: generation)
        }

        fileprivate var desired: DesiredState {
            DesiredState(configuration, keeping: overrides)
        }
    }

    /// A reconciler of a data path that runs the plan of `start` already.
    ///
    /// - Parameters:
    ///   - start: What it starts from.
    ///   - link: The data path.
    ///   - events: Where it tells what it does.
    ///   - checker: Who probes backends; without one, those that are to be probed stay unknown.
    ///   - source: The file that it reloads; `nil` when it was started from arguments.
    ///   - supervisor: Who is told of reloads.
    /// - Throws: When the configuration is over what there is room for.
    public init(
        _ start: Start, link: any DataPlaneHandle, events: EventLog,
        checker: HealthChecker? = nil, source: ConfigurationSource? = nil,
        supervisor: Supervisor? = nil
    ) throws(ChangeRefused) {
        self.link = link
        self.events = events
        self.checker = checker
        self.source = source
        self.supervisor = supervisor
        compiler = start.compiler
        desired = start.desired
        generation = start.generation
        observed = start.observed
        running = try start.compile()
        history.note(running, at: startedAt)
    }

    /// Publishes the first plan again, now to the steering program as well.
    public func begin() async throws(PublishError) {
        try await link.publish(running.plan)
        appliedAt = Date()
        if let source { source.store.keep(source.text, generation: generation) }
        for service in running.services
        where !service.isUp && !service.backends.contains(where: { $0.health == .unknown }) {
            tell(.serviceWithoutBackend, service)
        }
        probe()
    }

    // MARK: Observation

    /// Takes a new observation over, and publishes if something follows from it.
    ///
    /// - Returns: `false` when it was refused, so that it is to be told again.
    public func observe(_ state: ObservedState) async -> Bool {
        await gate.enter()
        defer { gate.leave() }
        guard state != observed else { return true }
        let before = observed
        observed = state
        guard await republish(by: "observation") else {
            observed = before
            return false
        }
        tellOfInterface(before)
        return true
    }

    /// Takes over what probes have found since.
    public func observeHealth() async {
        await gate.enter()
        defer { gate.leave() }
        guard let states = checker?.states else { return }
        let before = health
        for (key, state) in states where health[key] != nil { health[key] = state.health }
        guard health != before else { return }
        if !(await republish(by: "health")) { health = before }
    }

    /// Publishes what follows from what is observed, if anything does.
    ///
    /// - Returns: Whether that worked; if not, the running generation stays.
    func republish(by cause: String) async -> Bool {
        do {
            let next = try compile(desired)
            guard !Self.isSame(next.plan, running.plan) else {
                running.problems = next.problems
                running.services = next.services
                return true
            }
            try await publish(next, desired, by: cause)
            return true
        } catch {
            events.record(
                .publishFailed, .error, ["cause": cause, "message": "\(error)"])
            return false
        }
    }

    /// Addresses whose hardware address is needed: next hops of all backends.
    public var wantedNextHops: Set<IPAddress> {
        var wanted = Set(running.nextHopUsers.keys)
            .union(desired.configuration.interface.fixedNextHops)
        for route in observed.routes {
            if let gateway = route.gateway { wanted.insert(gateway) }
        }
        return wanted
    }

    /// Ends the connections of backends whose time is over.
    public func endRetired(at now: ContinuousClock.Instant) async {
        await gate.enter()
        defer { gate.leave() }
        let over = desired.retiring.filter { $0.deadline <= now }
        guard !over.isEmpty else { return }
        for retired in over {
            let ended = await end(retired)
            events.record(
                .backendRemoved, .notice,
                [
                    "service": retired.service, "backend": retired.configuration.name,
                    "connections_ended": "\(ended)",
                ])
        }
        var next = desired
        next.retiring.removeAll { $0.deadline <= now }
        do {
            try await publish(try compile(next), next, by: "drain_timeout")
            for retired in over { running.identities.releaseBackend(retired.key) }
        } catch {
            events.record(
                .publishFailed, .error, ["cause": "drain_timeout", "message": "\(error)"])
        }
    }

    private func end(_ retired: DesiredState.RetiringBackend) async -> Int {
        guard let identity = running.identities.backends[retired.key] else { return 0 }
        var filter = ConnectionFilter()
        filter.backend = identity.id
        return await flush(filter)
    }

    // MARK: Changes

    /// See ``ControlPlaneService/apply(_:by:ifGeneration:dryRun:)``.
    public func apply(
        _ change: Change, by user: String, ifGeneration wanted: UInt64?, dryRun: Bool
    ) async throws(ChangeRefused) -> ChangeReport {
        guard case .deleteService(let reference, true) = change, !dryRun else {
            return try await applyAtOnce(change, by: user, ifGeneration: wanted, dryRun: dryRun)
        }
        let name = try await drain(reference, by: user, ifGeneration: wanted)
        do throws(ChangeRefused) {
            // Draining was a generation of its own.
            return try await applyAtOnce(
                .deleteService(.name(name), drain: true), by: user, ifGeneration: nil, dryRun: false
            )
        } catch {
            await giveUpEnding(name, by: user)
            throw error
        }
    }

    private func applyAtOnce(
        _ change: Change, by user: String, ifGeneration wanted: UInt64?, dryRun: Bool
    ) async throws(ChangeRefused) -> ChangeReport {
        await gate.enter()
        defer { gate.leave() }
        if let wanted { try require(generation: wanted) }
        let (next, line) = try desired.applying(change, by: user, at: Date())
        try next.checkVIPs(of: change, since: desired, against: observed)
        var compiled = try compile(next)
        keepEnding(&compiled)
        var report = ChangeReport(
            lines: [line], generation: generation + 1, isDryRun: dryRun, workers: 0,
            took: .zero, movedSlots: 0, endedConnections: 0)
        describe(compiled, &report)
        if dryRun {
            report.generation = generation
            rehearse(ChangeConsequence(running, compiled, next.retiring, at: .now), &report)
            return report
        }
        try await publish(compiled, next, by: user, change: line, &report)
        tell(of: change, by: user)
        source?.store.keep(overrides: desired.overrides)
        return report
    }

    /// Refuses what was meant for another generation than the one that runs.
    func require(generation wanted: UInt64) throws(ChangeRefused) {
        guard wanted != generation else { return }
        throw .superseded(wanted, by: generation)
    }

    /// Publishes a change, ends the connections that are to end, and completes the report.
    ///
    /// - Throws: When the data path does not take it; what ran before runs on.
    func publish(
        _ compiled: SnapshotCompiler.Result, _ next: DesiredState, by user: String, change: String,
        _ report: inout ChangeReport
    ) async throws(ChangeRefused) {
        let consequence = ChangeConsequence(running, compiled, next.retiring, at: .now)
        let began = ContinuousClock.now
        do {
            try await publish(compiled, next, by: user, change: change)
        } catch {
            throw ChangeRefused(
                kind: .failed, code: "publish", message: "\(error). Nothing was changed")
        }
        report.took = ContinuousClock.now - began
        report.workers = link.facts.workers.count
        source?.applied(next.configuration)
        await carryOut(consequence, &report)
    }

    /// Leaves the backends of a deleted service in the plan until its connections were ended: their
    /// SNAT ports and references are found by the backend's address.
    func keepEnding(_ next: inout SnapshotCompiler.Result) {
        let staying = Set(next.plan.backends.map(\.id))
        let kept = Set(next.services.map(\.id))
        for service in running.services where !kept.contains(service.id) {
            let ids = Set(service.backends.map(\.identity.id))
            for var backend in running.plan.backends
            where ids.contains(backend.id) && !staying.contains(backend.id) {
                backend.admits = .nothing
                backend.nextHop = nil
                next.plan.backends.append(backend)
            }
        }
    }

    // MARK: Publishing

    func compile(_ next: DesiredState) throws(ChangeRefused) -> SnapshotCompiler.Result {
        try compiler.compile(
            next, observed, health: health.merging(unprobed()) { found, _ in found },
            running.identities, known: running.services, generation: generation + 1)
    }

    func publish(
        _ next: SnapshotCompiler.Result, _ desired: DesiredState, by user: String,
        change: String? = nil
    ) async throws(PublishError) {
        let began = ContinuousClock.now
        try await link.publish(next.plan)
        let took = ContinuousClock.now - began
        let before = running
        let trusted = unprobed()
        running = next
        self.desired = desired
        generation = next.plan.generation
        appliedAt = Date()
        history.note(running, since: before, at: appliedAt)
        probe(trusting: trusted)
        var fields = [
            (name: "generation", value: "\(generation)"), ("by", user),
            ("moved_slots", "\(next.movedSlots(since: before))"),
            ("workers", "\(link.facts.workers.count)"),
            ("took_ms", "\(Int((took.seconds * 1000).rounded()))"),
        ]
        if let change { fields.append(("change", change)) }
        events.record(.generationApplied, .info, fields)
        tellOfServices(since: before)
    }

    /// Whether two plans differ in nothing but their generation.
    private static func isSame(_ left: ForwardingPlan, _ right: ForwardingPlan) -> Bool {
        left.link == right.link && left.backends == right.backends && left.routes == right.routes
            && left.nextHops == right.nextHops && left.snatAddresses == right.snatAddresses
            && left.snatSources == right.snatSources
            && left.services.map(\.snatAddresses) == right.services.map(\.snatAddresses)
            && zip(left.services, right.services).allSatisfy { $0.maglev === $1.maglev }
    }
}

extension DesiredState.RetiringBackend {
    var key: IdentityRegistry.BackendKey {
        IdentityRegistry.BackendKey(service: service, endpoint: configuration.endpoint)
    }
}
