// SPDX-License-Identifier: Apache-2.0
public import DataPlane
public import Logging
public import struct Foundation.Date

/// Brings what runs to what is wanted: compiles, publishes, and keeps what was published.
///
/// The one owner of desired state, identities and the running plan. Decides nothing about packets
/// or services: ``DesiredState`` says what a change means, ``SnapshotCompiler`` what follows.
public actor Reconciler: ControlPlaneService {
    let link: any DataPlaneHandle
    private let compiler: SnapshotCompiler
    let log: Logger
    let hasFile: Bool
    let startedAt = Date()

    var desired: DesiredState
    var observed: ObservedState
    var running: SnapshotCompiler.Result
    var generation: UInt64 = 1
    var appliedAt = Date()
    var wasChanged = false
    var history: [String: TableHistory] = [:]
    var lastReload = ReloadState()
    var eligibleSince: [UInt16: Eligibility] = [:]
    private let gate = Gate()

    /// How often a service's table was built, and how many slots moved.
    struct TableHistory {
        var rebuilds = 0
        var movedSlots = 0
        var buildTimes = DurationHistogram(ServiceView.buildTimeBounds)

        mutating func add(_ service: SnapshotCompiler.CompiledService, moved: Int) {
            rebuilds += 1
            movedSlots += moved
            buildTimes.add(service.buildTime)
        }
    }

    /// Whether a backend is eligible, and since when.
    struct Eligibility {
        var isEligible: Bool
        var since: Date
    }

    /// What the reconciler starts from.
    public struct Start: Sendable {
        /// What is to run.
        public var configuration: Configuration
        /// Whether it came from a file, which a change then differs from.
        public var hasFile: Bool
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
            configuration: Configuration, hasFile: Bool, observed: ObservedState,
            hashKey: HashKey, capacity: PipelineCapacity, workerCount: Int,
            interfacePorts: [ClosedRange<UInt16>]
        ) {
            self.configuration = configuration
            self.hasFile = hasFile
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

        fileprivate var compiler: SnapshotCompiler {
            SnapshotCompiler(
                hashKey: hashKey, workerCount: workerCount, interfacePorts: interfacePorts)
        }

        fileprivate func compile() throws(ChangeRefused) -> SnapshotCompiler.Result {
            let limits = IdentityRegistry.Limits(
                snatBackends: capacity.snatBackends, snatAddresses: capacity.snatAddresses)
            return try compiler.compile(
                DesiredState(configuration), observed, IdentityRegistry(limits: limits),
                known: [], generation: 1)
        }
    }

    /// A reconciler of a data path that runs the plan of `start` already.
    public init(
        _ start: Start, link: any DataPlaneHandle, log: Logger
    ) throws(ChangeRefused) {
        self.link = link
        self.log = log
        compiler = start.compiler
        hasFile = start.hasFile
        desired = DesiredState(start.configuration)
        observed = start.observed
        running = try start.compile()
        for service in running.services {
            history[service.configuration.name, default: TableHistory()].add(service, moved: 0)
        }
        lastReload.appliedAt = startedAt
    }

    /// Publishes the first plan again, now to the steering program as well.
    public func begin() async throws(PublishError) {
        try await link.publish(running.plan)
        appliedAt = Date()
        noteEligibility()
    }

    // MARK: Observation

    /// Takes a new observation over, and publishes if something follows from it.
    public func observe(_ state: ObservedState) async {
        await gate.enter()
        defer { gate.leave() }
        guard state != observed else { return }
        let before = observed
        observed = state
        do {
            let next = try compile(desired)
            guard !Self.isSame(next.plan, running.plan) else {
                running.problems = next.problems
                return
            }
            try await publish(next, desired, by: "observation")
        } catch {
            observed = before
            log.error(
                "observation not applied",
                metadata: ["event": "publish_failed", "message": "\(error)"])
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
    public func endRetired(at date: Date) async {
        await gate.enter()
        defer { gate.leave() }
        let over = desired.retiring.filter { $0.deadline <= date }
        guard !over.isEmpty else { return }
        for retired in over {
            let ended = await end(retired)
            log.notice(
                "removed backend ended",
                metadata: [
                    "event": "backend_removed", "service": "\(retired.service)",
                    "backend": "\(retired.configuration.name)", "connections_ended": "\(ended)",
                ])
        }
        var next = desired
        next.retiring.removeAll { $0.deadline <= date }
        do {
            try await publish(try compile(next), next, by: "drain_timeout")
            for retired in over { running.identities.releaseBackend(retired.key) }
        } catch {
            log.error("retired backends stay", metadata: ["message": "\(error)"])
        }
    }

    private func end(_ retired: DesiredState.RetiringBackend) async -> Int {
        guard let identity = running.identities.backends[retired.key] else { return 0 }
        var filter = ConnectionFilter()
        filter.backend = identity.id
        return await link.scan(filter, .flush).reduce(0) { $0 + $1.matched }
    }

    // MARK: Changes

    /// See ``ControlPlaneService/apply(_:by:ifGeneration:dryRun:)``.
    public func apply(
        _ change: Change, by user: String, ifGeneration wanted: UInt64?, dryRun: Bool
    ) async throws(ChangeRefused) -> ChangeReport {
        if case .deleteService(let reference, true) = change, !dryRun {
            try await drain(reference, by: user)
        }
        await gate.enter()
        defer { gate.leave() }
        if let wanted, wanted != generation {
            throw ChangeRefused(
                kind: .superseded, code: "generation",
                message: """
                    generation \(wanted) is not current, \(generation) is: somebody else was \
                    faster. Nothing was changed; look again and repeat
                    """)
        }
        let (next, line) = try desired.applying(change, by: user, at: Date())
        try next.checkVIPs(of: change, since: desired, against: observed)
        var compiled = try compile(next)
        keepEnding(&compiled)
        var report = ChangeReport(
            lines: [line], generation: generation + 1, isDryRun: dryRun, workers: 0,
            took: .zero, movedSlots: 0, endedConnections: 0)
        describe(compiled, &report)
        let consequence = ChangeConsequence(change, running, compiled)
        if dryRun {
            report.generation = generation
            return report
        }
        let began = ContinuousClock.now
        do {
            try await publish(compiled, next, by: user)
        } catch {
            throw ChangeRefused(
                kind: .failed, code: "publish", message: "\(error). Nothing was changed")
        }
        wasChanged = true
        report.took = ContinuousClock.now - began
        report.workers = link.facts.workers.count
        await carryOut(consequence, &report)
        return report
    }

    /// Leaves the backends of a deleted service in the plan until its connections were ended: their
    /// SNAT ports and references are found by the backend's address.
    private func keepEnding(_ next: inout SnapshotCompiler.Result) {
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

    private func compile(_ next: DesiredState) throws(ChangeRefused) -> SnapshotCompiler.Result {
        try compiler.compile(
            next, observed, running.identities, known: running.services,
            generation: generation + 1)
    }

    private func publish(
        _ next: SnapshotCompiler.Result, _ desired: DesiredState, by user: String
    ) async throws(PublishError) {
        try await link.publish(next.plan)
        for service in next.services {
            guard let before = running.services.first(where: { $0.id == service.id }) else {
                history[service.configuration.name] = TableHistory()
                history[service.configuration.name]?.add(service, moved: 0)
                continue
            }
            guard before.maglev !== service.maglev else { continue }
            history[service.configuration.name, default: TableHistory()].add(
                service, moved: before.maglev.movedSlots(to: service.maglev))
        }
        running = next
        self.desired = desired
        generation = next.plan.generation
        appliedAt = Date()
        noteEligibility()
        log.info(
            "generation applied",
            metadata: [
                "event": "generation_applied", "generation": "\(generation)", "by": "\(user)",
                "workers": "\(link.facts.workers.count)",
            ])
    }

    private func noteEligibility() {
        for backend in running.services.flatMap(\.backends) {
            let isEligible = backend.reason == nil
            if eligibleSince[backend.identity.id]?.isEligible != isEligible {
                eligibleSince[backend.identity.id] = Eligibility(
                    isEligible: isEligible, since: Date())
            }
        }
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
