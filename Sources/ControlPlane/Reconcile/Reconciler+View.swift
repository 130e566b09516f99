// SPDX-License-Identifier: Apache-2.0
public import DataPlane
internal import Logging
internal import struct Foundation.Date

/// What commands, metrics and pages are told.
extension Reconciler {
    /// See ``ControlPlaneService/view()``.
    public func view() -> ControlView {
        let states = checker?.states ?? [:]
        return ControlView(
            configuration: desired.configuration, generation: generation, appliedAt: appliedAt,
            startedAt: startedAt, differsFromFile: source == nil ? nil : desired.differsFromFile,
            lastReload: lastReload,
            services: running.services.map { serviceView($0, states) }, nextHops: nextHopViews(),
            snatAddresses: running.plan.snatAddresses,
            snatPortSpaces: (running.plan.backends.compactMap(\.portSpace).max()).map {
                Int($0) + 1
            } ?? 0, problems: running.problems)
    }

    private func serviceView(
        _ service: SnapshotCompiler.CompiledService,
        _ states: [IdentityRegistry.BackendKey: HealthState]
    ) -> ServiceView {
        let counts = service.maglev.slotCounts
        let past = history.tables(of: service.id)
        return ServiceView(
            id: service.id, configuration: service.configuration,
            keys: service.configuration.keys,
            backends: service.backends.map { backendView($0, service, counts, states) },
            maglev: service.maglev,
            fingerprint: service.maglev.fingerprint,
            rebuilds: past.rebuilds, movedSlots: past.movedSlots, buildTimes: past.buildTimes)
    }

    private func backendView(
        _ backend: SnapshotCompiler.CompiledBackend,
        _ service: SnapshotCompiler.CompiledService, _ counts: [UInt16: Int],
        _ states: [IdentityRegistry.BackendKey: HealthState]
    ) -> BackendView {
        let owner = service.configuration.backendsFrom ?? service.configuration.name
        let key = IdentityRegistry.BackendKey(
            service: owner, endpoint: backend.configuration.endpoint)
        let mark = desired.marks[key]
        let eligibility = history.eligibilityChanged(of: backend.identity.id) ?? startedAt
        let state = states[key]
        return BackendView(
            id: backend.identity.id, configuration: backend.configuration,
            isRemoved: backend.isRemoved, isEligible: backend.reason == nil,
            reason: backend.reason == SnapshotDraft.unhealthy
                ? SnapshotDraft.unhealthy + (state?.reason.map { ": \($0)" } ?? "")
                : backend.reason,
            slots: counts[backend.identity.id] ?? 0,
            since: max(mark?.date ?? eligibility, eligibility), changedBy: mark?.user,
            nextHop: backend.nextHop, health: state)
    }

    /// See ``ControlPlaneService/recentEvents(_:)``.
    public func recentEvents(_ limit: Int) -> [ControlEvent] { events.recent(limit) }

    private func nextHopViews() -> [NextHopView] {
        let addresses = Set(observed.neighbours.keys).union(running.nextHopUsers.keys)
        return addresses.sorted().map { address in
            let neighbour = observed.neighbours[address]
            let state: NextHopView.State =
                neighbour?.mac != nil
                ? .resolved : neighbour?.hasFailed == true ? .failed : .pending
            return NextHopView(
                address: address, mac: neighbour?.mac, state: state,
                since: neighbour?.since ?? startedAt,
                backends: running.nextHopUsers[address] ?? [])
        }
    }

    /// See ``ControlPlaneService/connections(_:limit:)``.
    public func connections(
        _ filter: ConnectionFilter, limit: Int
    ) async -> (records: [ConnectionRecord], matched: Int) {
        let scans = await link.scan(filter, .list(limit: limit))
        return (
            Array(scans.flatMap(\.results).prefix(limit)), scans.reduce(0) { $0 + $1.matched }
        )
    }

    /// See ``ControlPlaneService/trace(_:)``.
    public func trace(_ packet: ProbePacket) async throws(ChangeRefused) -> TraceDocument {
        let plan = running.plan
        let connection = await connection(of: packet.flow)
        do throws(PublishError) {
            let (facts, outcome) = try await link.trace(packet, under: plan, connection)
            return TraceWriter(
                plan: plan, interface: desired.configuration.interface.name, names: traceNames
            ).document(packet, facts, connection, outcome)
        } catch {
            throw ChangeRefused(
                kind: .conflict, code: "trace", message: "cannot trace: \(error)")
        }
    }

    /// The connection that a flow belongs to, in either direction; `nil` when none is tracked.
    private func connection(of flow: FiveTuple) async -> ConnectionRecord? {
        var fromClient = ConnectionFilter()
        fromClient.client = flow.source
        let scans = await link.scan(fromClient, .list(limit: ConnectionScan.maximumLimit))
        if let found = scans.flatMap(\.results).first(where: { $0.flow == flow }) { return found }
        let found = running.plan.snatAddresses.first { $0.address == flow.destination }
        guard let address = found else { return nil }
        let all = await link.scan(.init(), .list(limit: ConnectionScan.maximumLimit))
        let backends = Dictionary(
            running.plan.backends.map { ($0.id, $0.address) },
            uniquingKeysWith: { first, _ in first })
        return all.flatMap(\.results).first { record in
            record.mode == .snat && record.snatAddress == address.id
                && record.snatPort == flow.destinationPort
                && record.flow.transport == flow.transport
                && backends[record.backend] == flow.source
        }
    }

    private var traceNames: TraceWriter.Names {
        let services = running.services
        let backends = Dictionary(
            services.flatMap(\.backends).map { ($0.identity.id, $0) },
            uniquingKeysWith: { first, _ in first })
        return TraceWriter.Names(
            service: { id in services.first { $0.id == id }?.configuration.name },
            backend: { id in backends[id].map { TraceWriter.text(of: $0.configuration) } },
            backendState: { id in
                backends[id].map { TraceWriter.state(of: $0.configuration) } ?? "unknown"
            })
    }

    /// See ``ControlPlaneService/flushConnections(_:by:)``.
    public func flushConnections(_ filter: ConnectionFilter, by user: String) async -> Int {
        let ended = await flush(filter)
        events.record(
            .connectionsFlushed, .notice,
            ["ended": "\(ended)", "by": user, "filter": text(of: filter)])
        return ended
    }

    /// A filter in words; `all` when it leaves none out.
    private func text(of filter: ConnectionFilter) -> String {
        let names = traceNames
        var words: [String] = []
        if let service = filter.service { words.append("service=\(names.service(service) ?? "?")") }
        if let backend = filter.backend { words.append("backend=\(names.backend(backend) ?? "?")") }
        if let client = filter.client { words.append("client=\(client)") }
        if let state = filter.state { words.append("state=\(state.token)") }
        if let worker = filter.worker { words.append("worker=\(worker)") }
        if filter.isInUse { words.append("in_use=true") }
        return words.isEmpty ? "all" : words.joined(separator: " ")
    }
}
