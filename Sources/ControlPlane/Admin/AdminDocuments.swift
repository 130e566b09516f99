// SPDX-License-Identifier: Apache-2.0
internal import DataPlane
internal import Foundation

/// Makes the documents of the API from what the control plane knows and the data path counts.
struct AdminDocuments: Sendable {
    let view: ControlView
    let sums: CounterSums
    let pages: [CounterPage]
    let kernel: KernelCounters
    let facts: DataPlaneFacts
    let rates: RateSampler
    let build: BuildFacts
    let isStopping: Bool
    /// What happened, the latest first.
    var events: [EventDocument] = []

    /// Events that are shown of those that are remembered.
    static let shownEvents = 50
    /// Backends of a service whose reasons a status has.
    private static let shownIneligible = 10

    private var now: String { AdminJSON.text(Date()) }

    /// Whether new connections can be served: sockets are bound, and a service is up.
    var isReady: Bool { !isStopping && view.services.contains { $0.isUp } }

    func status() -> StatusDocument {
        StatusDocument(
            generation: view.generation, time: now, state: isStopping ? "stopping" : "serving",
            ready: isReady, version: build.version,
            node: view.configuration.nodeName ?? ProcessInfo.processInfo.hostName,
            uptimeSeconds: Date().timeIntervalSince(view.startedAt),
            appliedAt: AdminJSON.text(view.appliedAt), interface: interface(), workers: workers(),
            services: view.services.map(serviceState),
            problems: view.problems, drops: nonZeroDrops(), dropsPerSecond: dropRates(),
            connections: TableDocument(
                used: sums[.connections],
                capacity: UInt64(facts.connectionsPerWorker * facts.workers.count)),
            memory: MemoryDocument(
                umemBytes: facts.umemBytes, tableBytes: facts.tableBytes,
                hugePages: facts.usesHugePages, numaNode: facts.numaNode),
            file: view.differsFromFile.map { $0 ? "differs" : "same" } ?? "none",
            reloadRefused: view.lastReload.message,
            confirmUntil: view.lastReload.confirmUntil.map(AdminJSON.text))
    }

    private func serviceState(_ service: ServiceView) -> ServiceStateDocument {
        let own = service.backends.filter { !$0.isRemoved }
        return ServiceStateDocument(
            name: service.configuration.name, up: service.isUp, eligible: service.eligibleCount,
            backends: own.count,
            ineligible: own.filter { !$0.isEligible }.prefix(Self.shownIneligible).map {
                IneligibleDocument(
                    name: $0.configuration.name, reason: $0.reason ?? "",
                    since: AdminJSON.text($0.since))
            })
    }

    func interfaceList() -> InterfaceListDocument {
        InterfaceListDocument(
            generation: view.generation, time: now, interfaces: [interface()])
    }

    func workerList() -> WorkerListDocument {
        WorkerListDocument(generation: view.generation, time: now, workers: workers())
    }

    private func interface() -> InterfaceDocument {
        func rate(_ counter: Counter) -> Double {
            pages.indices.reduce(0) { $0 + rates.rate(.worker($1, counter)) }
        }
        return InterfaceDocument(
            name: facts.interface, driver: facts.driver, attachMode: facts.attachMode,
            bindMode: facts.bindMode, queues: facts.workers.map(\.queue),
            rxPackets: sums[.receivedPackets], txPackets: sums[.transmittedPackets],
            rxPacketsPerSecond: rate(.receivedPackets),
            txPacketsPerSecond: rate(.transmittedPackets),
            xdp: SteeringDocument(
                redirect: kernel.redirected, pass: kernel.passed, noSocket: kernel.withoutSocket),
            ringLosses: kernel.ringLosses, ringLossesPerSecond: rates.rate(.ringLosses))
    }

    private func workers() -> [WorkerDocument] {
        zip(facts.workers, pages).enumerated().map { index, pair in
            let (place, page) = pair
            func rate(_ counter: Counter) -> Double { rates.rate(.worker(index, counter)) }
            let time =
                rate(.busyNanoseconds) + rate(.idleNanoseconds) + rate(.blockedNanoseconds)
            return WorkerDocument(
                worker: index, queue: place.queue, cpu: place.cpu,
                generation: page[.generation], rxPackets: page[.receivedPackets],
                txPackets: page[.transmittedPackets],
                rxPacketsPerSecond: rate(.receivedPackets),
                txPacketsPerSecond: rate(.transmittedPackets), handedOff: page[.handedOff],
                busyShare: Self.ratio(rate(.busyNanoseconds), time),
                packetsPerBatch: Self.ratio(
                    Double(page[.receivedPackets]), Double(page[.batches])),
                packetsPerWakeup: Self.ratio(
                    Double(page[.transmittedPackets]), Double(page[.transmitWakeups])),
                chunks: index < kernel.sockets.count ? kernel.sockets[index].chunks : [:])
        }
    }

    private static func ratio(_ part: Double, _ whole: Double) -> Double {
        whole > 0 ? (part / whole * 1000).rounded() / 1000 : 0
    }

    private func nonZeroDrops() -> [String: UInt64] {
        DropReason.allCases.reduce(into: [:]) { drops, reason in
            if sums[reason] > 0 { drops[reason.token] = sums[reason] }
        }
    }

    private func dropRates() -> [String: Double] {
        DropReason.allCases.reduce(into: [:]) { drops, reason in
            let rate = rates.rate(.drop(reason))
            if rate > 0 { drops[reason.token] = rate }
        }
    }

    // MARK: Services

    func services() -> ServiceListDocument {
        ServiceListDocument(
            generation: view.generation, time: now, services: view.services.map(service))
    }

    func service(_ service: ServiceView) -> ServiceDocument {
        func rate(_ counter: ServiceCounter) -> Double { rates.rate(.service(service.id, counter)) }
        let configuration = service.configuration
        return ServiceDocument(
            name: configuration.name, keys: service.keys.map(\.description),
            mode: configuration.mode.description, snatPool: configuration.snatPool,
            affinity: configuration.policy.affinity.rawValue,
            onNoBackend: configuration.policy.onNoBackend.rawValue,
            sourceRanges: configuration.sourceRanges.map(\.shortText),
            minimumBackends: configuration.minimumBackends, up: service.isUp,
            eligible: service.eligibleCount,
            backends: service.backends.count { !$0.isRemoved },
            packetsPerSecond: rate(.packetsIn) + rate(.packetsOut),
            bitsPerSecond: (rate(.bytesIn) + rate(.bytesOut)) * 8,
            newPerSecond: rate(.newConnections),
            connections: sums[service: service.id, .connections],
            packetsIn: sums[service: service.id, .packetsIn],
            packetsOut: sums[service: service.id, .packetsOut],
            newConnections: sums[service: service.id, .newConnections])
    }

    func show(_ service: ServiceView) -> ServiceShowDocument {
        let timeouts = service.configuration.policy.timeouts
        return ServiceShowDocument(
            generation: view.generation, time: now, service: self.service(service),
            timeouts: [
                "tcp_established": timeouts.tcpEstablished.seconds,
                "tcp_transitory": timeouts.tcpTransitory.seconds, "udp": timeouts.udp.seconds,
            ],
            maglev: MaglevStateDocument(
                slots: service.maglev.count, fingerprint: service.fingerprint,
                rebuilds: service.rebuilds, movedSlots: service.movedSlots),
            backends: backends(of: service),
            configuration: ConfigurationWriter.yaml(service.configuration))
    }

    func backends(of service: ServiceView? = nil) -> BackendListDocument {
        let services = service.map { [$0] } ?? view.services
        return BackendListDocument(
            generation: view.generation, time: now, backends: services.flatMap(backends))
    }

    private func backends(of service: ServiceView) -> [BackendDocument] {
        service.backends.map { backend in
            BackendDocument(
                service: service.configuration.name, name: backend.configuration.name,
                address: backend.configuration.endpoint.description,
                adminState: backend.configuration.adminState.rawValue,
                eligible: backend.isEligible, reason: backend.reason,
                health: (backend.health?.health ?? .unknown).rawValue,
                healthReason: backend.health?.reason, probe: backend.health?.probe,
                removed: backend.isRemoved, weight: backend.configuration.weight,
                slots: backend.slots,
                share: Self.ratio(Double(backend.slots), Double(service.maglev.count)),
                packets: sums[backend: backend.id, .packets],
                bytes: sums[backend: backend.id, .bytes],
                packetsPerSecond: rates.rate(.backend(backend.id, .packets)),
                connections: sums[backend: backend.id, .connections],
                newConnections: sums[backend: backend.id, .newConnections],
                nextHop: backend.nextHop?.description, changedBy: backend.changedBy,
                since: AdminJSON.text(backend.since))
        }
    }

    func maglev(_ service: ServiceView) -> MaglevDocument {
        MaglevDocument(
            generation: view.generation, time: now, service: service.configuration.name,
            slots: service.maglev.count, fingerprint: service.fingerprint,
            backends: service.backends.filter { !$0.isRemoved }.map { backend in
                .init(
                    name: backend.configuration.name,
                    address: backend.configuration.endpoint.description,
                    weight: backend.configuration.weight, slots: backend.slots,
                    share: Double(backend.slots) / Double(service.maglev.count))
            })
    }

    // MARK: Connections and neighbours

    func connections(_ records: [ConnectionRecord], matched: Int) -> ConnectionListDocument {
        let services = Dictionary(view.services.map { ($0.id, $0) }) { first, _ in first }
        let addresses = Dictionary(
            view.snatAddresses.map { ($0.id, $0.address) }
        ) { first, _ in first }
        return ConnectionListDocument(
            generation: view.generation, time: now, matched: matched,
            connections: records.map { record in
                let service = services[record.service]
                let backend = service?.backends.first { $0.id == record.backend }
                let vip = ServiceKey(
                    vip: record.flow.destination, port: record.flow.destinationPort,
                    transport: record.flow.transport ?? .tcp)
                let snat = record.mode == .snat ? addresses[record.snatAddress] : nil
                return ConnectionDocument(
                    client: Endpoint(address: record.flow.source, port: record.flow.sourcePort)
                        .description,
                    vip: vip.description, service: service?.configuration.name ?? "?",
                    backend: backend?.configuration.name ?? "?",
                    backendAddress: backend?.configuration.endpoint.description ?? "?",
                    mode: record.mode.description, state: record.state.token,
                    snat: snat.map { Endpoint(address: $0, port: record.snatPort).description },
                    ageSeconds: Double(record.ageMilliseconds) / 1000,
                    idleSeconds: Double(record.idleMilliseconds) / 1000, packets: record.packets,
                    worker: Int(record.worker))
            })
    }

    func count(_ matched: Int) -> ConnectionCountDocument {
        ConnectionCountDocument(generation: view.generation, time: now, count: matched)
    }

    func flush(_ ended: Int, isDryRun: Bool) -> FlushDocument {
        FlushDocument(generation: view.generation, time: now, ended: ended, dryRun: isDryRun)
    }

    func neighbours() -> NeighbourListDocument {
        NeighbourListDocument(
            generation: view.generation, time: now,
            neighbours: view.nextHops.map { hop in
                NeighbourDocument(
                    address: hop.address.description, interface: facts.interface,
                    mac: hop.mac?.description, state: hop.state.rawValue,
                    since: AdminJSON.text(hop.since), backends: hop.backends)
            })
    }

    static func change(_ report: ChangeReport) -> ChangeDocument {
        ChangeDocument(
            generation: report.generation, time: AdminJSON.text(Date()), lines: report.lines,
            dryRun: report.isDryRun, workers: report.workers,
            tookMs: (report.took.seconds * 100_000).rounded() / 100, movedSlots: report.movedSlots,
            endedConnections: report.endedConnections)
    }
}
