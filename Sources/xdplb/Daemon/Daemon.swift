// SPDX-License-Identifier: Apache-2.0
internal import ControlPlane
internal import DataPlane
internal import Foundation
internal import Logging
internal import ServiceLifecycle
internal import UnixSignals
internal import Workers
internal import XSKRing

/// Builds the parts, wires them, runs them, and takes them down in order.
///
/// Decides nothing.
struct Daemon {
    let configuration: Configuration
    /// The file it came from; `nil` when it was given by arguments.
    let source: ConfigurationSource?
    let hashKey: HashKey
    /// What is told how it goes.
    let supervisor: Supervisor
    let log: Logger
    let events: EventLog

    /// Runs until SIGTERM or SIGINT.
    ///
    /// - Throws: ``CommandFailure`` when something could not be set up; then nothing is left
    ///   attached.
    func run() async throws {
        let parts = try prepare()
        defer { parts.link.close() }
        let checker = HealthChecker()
        defer { checker.stop() }
        let reconciler = try makeReconciler(parts, checker)
        do {
            try await reconciler.begin()
            try parts.link.open()
        } catch {
            throw CommandFailure(.refused, "\(error)")
        }
        let facts = parts.link.facts
        events.record(
            .started, .notice,
            [
                "interface": facts.interface, "driver": facts.driver,
                "attach_mode": facts.attachMode, "bind_mode": facts.bindMode,
                "queues": "\(facts.workers.count)", "services": "\(configuration.services.count)",
            ])
        let group = ServiceGroup(
            configuration: .init(
                services: services(parts, reconciler, checker).map { .init(service: $0) },
                gracefulShutdownSignals: [.sigterm, .sigint], logger: quiet))
        let second = SecondSignal { stopAtOnce(parts.link) }
        defer { withExtendedLifetime(second) {} }
        do {
            try await group.run()
        } catch let failure as AdminServerError {
            throw CommandFailure(.refused, failure.description)
        }
        events.record(.stopping, .notice, [:])
    }

    /// Ends the process without waiting for anybody: requests are cut, and captures without an end.
    private func stopAtOnce(_ link: DataPlaneLink) {
        events.record(.stopping, .notice, ["message": "at once, at the second signal"])
        link.detach()
        _ = unlink(configuration.admin.socket)
        // Not exit, which would wait for locks of others.
        _exit(0)
    }

    /// The library's own messages, of which only errors concern an operator.
    private var quiet: Logger {
        var quiet = log
        quiet.logLevel = .error
        return quiet
    }

    private func services(
        _ parts: Parts, _ reconciler: Reconciler, _ checker: HealthChecker
    ) -> [any Service] {
        let pool = parts.pool
        return [
            NetworkMonitor(
                interface: observedInterface, state: parts.start.observed, log: log,
                wanted: { await reconciler.wantedNextHops },
                unresolved: { pool.takeUnresolvedAddresses() },
                deliver: { await reconciler.observe($0) }),
            RetirementService(reconciler: reconciler),
            HealthMonitor(checker, events: events) { await reconciler.observeHealth() },
            ReloadSignal(reconciler: reconciler),
            AdminService(
                configuration: configuration, control: reconciler, dataPlane: parts.link,
                build: BuildFacts(version: Version.text, commit: Version.commit),
                events: events, log: log,
                onServing: { supervisor.ready() }),
            SupervisorService(supervisor, control: reconciler, dataPlane: parts.link),
        ]
    }

    // MARK: Setting up

    private var observedInterface: ObservedInterface {
        ObservedInterface(
            name: configuration.interface.name, vlan: configuration.interface.vlan)
    }

    /// What was set up and belongs together.
    private struct Parts {
        var start: Reconciler.Start
        var pool: WorkerPool
        var link: DataPlaneLink
    }

    private func prepare() throws(CommandFailure) -> Parts {
        do {
            let facts = try InterfaceFacts(name: configuration.interface.name)
            try facts.checkChunks(of: configuration.interface.chunkSize)
            let observed = try NetworkMonitor.read(observedInterface)
            try checkHost()
            // All of them, as traffic on any other would bypass us.
            let queues = Array(0..<facts.rxQueueCount)
            var start = Reconciler.Start(
                configuration: configuration, observed: observed,
                hashKey: hashKey, capacity: capacity(workers: queues.count),
                workerCount: queues.count, interfacePorts: HostResources.interfacePorts())
            if let source { start.resume(source.store) }
            let plan = try start.plan()
            // Attached before any socket is bound: a second instance fails here, before it can
            // take a queue from the first.
            let program = try SteeringProgram(
                interface: facts.name, index: facts.index, modes: attachModes)
            try facts.checkQueuesUnchanged()
            return try makeWorkers(facts, queues, start, plan, program)
        } catch let failure as CommandFailure {
            throw failure
        } catch {
            throw CommandFailure(.refused, "\(error)")
        }
    }

    private func makeWorkers(
        _ facts: InterfaceFacts, _ queues: [Int], _ start: Reconciler.Start,
        _ plan: ForwardingPlan, _ program: consuming SteeringProgram
    ) throws -> Parts {
        var list = XSKQueueList()
        var isZeroCopy = true
        var options = xskOptions
        options.attachMode = program.mode
        for queue in queues {
            let bound = try XSKQueue(
                interface: facts.name, queueID: queue, node: facts.numaNode, options: options)
            isZeroCopy = isZeroCopy && bound.isZeroCopy
            list.append(bound)
        }
        let sockets = list.fileDescriptors
        let cpus = HostResources.cpus(
            configured: configuration.workers.cores, workers: queues.count, node: facts.numaNode)
        let pool = try WorkerPool(
            queues: list, first: ForwardingSnapshot(plan),
            layout: WorkerPool.Layout(
                capacity: start.capacity, hashKey: hashKey, numaNode: facts.numaNode,
                hugePages: hugePages, chunkSize: configuration.interface.chunkSize,
                frameByteCount: facts.mtu + 22, cpus: cpus, options: workerOptions))
        let described = DataPlaneFacts(
            interface: facts.name, interfaceIndex: facts.index, driver: facts.driver,
            attachMode: program.mode.rawValue, bindMode: isZeroCopy ? "zerocopy" : "copy",
            numaNode: facts.numaNode,
            workers: zip(queues, cpus).map { WorkerFacts(queue: $0, cpu: $1) },
            umemBytes: queues.count * configuration.memory.chunksPerQueue
                * configuration.interface.chunkSize,
            tableBytes: pool.tableByteCount,
            connectionsPerWorker: configuration.connections.entriesPerWorker,
            usesHugePages: pool.usesHugePages)
        let link = DataPlaneLink(facts: described, pool: pool, sockets: sockets, program: program)
        return Parts(start: start, pool: pool, link: link)
    }

    private func makeReconciler(
        _ parts: Parts, _ checker: HealthChecker
    ) throws(CommandFailure) -> Reconciler {
        do {
            return try Reconciler(
                parts.start, link: parts.link, events: events, checker: checker, source: source,
                supervisor: supervisor)
        } catch {
            throw CommandFailure(.refused, error.message)
        }
    }

    // MARK: From configuration to options

    /// Refuses what this host does not allow, as `check` and `reload` do.
    private func checkHost() throws(CommandFailure) {
        let host = HostFacts.read(for: configuration)
        if let obstacle = configuration.obstacles(on: host).first {
            throw CommandFailure(.refused, obstacle.text)
        }
    }

    private func capacity(workers: Int) -> PipelineCapacity {
        let room = configuration.snatCapacity
        return PipelineCapacity(
            connections: configuration.connections.entriesPerWorker,
            snatBackends: room.backends, snatAddresses: room.addresses,
            snatPortsPerAddress: (65536 + workers - 1) / workers)
    }

    private var attachModes: [AttachMode] {
        switch configuration.interface.attachMode {
        case .native: [.native]
        case .generic: [.generic]
        case .auto: [.native, .generic]
        }
    }

    private var hugePages: HugePages {
        switch configuration.memory.hugePages {
        case .auto: .automatic
        case .require: .required
        case .none: .never
        }
    }

    private var xskOptions: XSKOptions {
        var options = XSKOptions()
        let interface = configuration.interface
        switch interface.bindMode {
        case .zerocopy: options.bindMode = .zerocopy
        case .copy: options.bindMode = .copy
        case .auto: options.bindMode = .automatic
        }
        options.rxRing = interface.rxRing
        options.txRing = interface.txRing
        options.fillRing = interface.fillRing
        options.completionRing = interface.completionRing
        options.chunkSize = interface.chunkSize
        options.chunkCount = configuration.memory.chunksPerQueue
        options.hugePages = hugePages
        if let busyPoll = configuration.workers.busyPoll {
            options.busyPollBudget = busyPoll.budget
            options.busyPollTime = busyPoll.microseconds
        }
        return options
    }

    private var workerOptions: WorkerOptions {
        var options = WorkerOptions()
        options.batch = configuration.workers.batch
        switch configuration.workers.idle {
        case .spin: options.idle = .spin
        case .adaptive: options.idle = .adaptive
        case .block: options.idle = .block
        }
        return options
    }
}
