// SPDX-License-Identifier: Apache-2.0
internal import DataPlane

/// The lines of the tables, with the cells in the order of ``DashboardTable``.
extension DashboardWriter {
    // MARK: Services

    func table(_ shown: [ServiceDocument]) -> DashboardView.Table {
        .init(
            rows: shown.map(row),
            note: Self.note(
                services.services.count, shown.count, "service", "xdplb service list"))
    }

    private func row(_ service: ServiceDocument) -> DashboardView.Row {
        let more = service.keys.count > 1 ? " +\(service.keys.count - 1)" : ""
        let eligible = "\(service.eligible) of \(service.backends) eligible"
        return .init(
            cells: [
                service.name, eligible + (service.up ? "" : ", down"),
                Scaled.rounded(service.packetsPerSecond), Scaled.rounded(service.bitsPerSecond),
                Scaled.rounded(service.newPerSecond),
                Scaled.rounded(Double(service.connections)),
                service.mode + (service.snatPool.map { " \($0)" } ?? ""),
                (service.keys.first ?? "") + more,
            ], level: !service.up ? .bad : Self.isIll(service) ? .warning : .ok, share: 0)
    }

    // MARK: Backends

    func table(_ shown: [BackendDocument]) -> DashboardView.Table {
        .init(
            rows: shown.map(row),
            note: Self.note(
                backends.backends.count, shown.count, "backend", "xdplb backend list"))
    }

    private func row(_ backend: BackendDocument) -> DashboardView.Row {
        .init(
            cells: [
                "\(backend.service)/\(backend.name)", Self.state(of: backend),
                Scaled.percent(backend.share), Scaled.rounded(backend.packetsPerSecond),
                Scaled.rounded(Double(backend.connections)), "\(backend.weight)",
                backend.address, since(backend),
            ], level: Self.level(of: backend), share: backend.share)
    }

    /// Whether a backend gets new connections, and why not: the place of its health, too.
    static func state(of backend: BackendDocument) -> String {
        backend.eligible ? "eligible" : backend.reason ?? "not eligible"
    }

    /// What was done on purpose is not ill.
    static func level(of backend: BackendDocument) -> DashboardView.Level {
        if backend.eligible { return .ok }
        let isOnPurpose = backend.removed || backend.adminState != "active" || backend.weight == 0
        return isOnPurpose ? .warning : .bad
    }

    func since(_ backend: BackendDocument) -> String {
        Scaled.since(backend.since, at: status.time) + (backend.changedBy.map { " by \($0)" } ?? "")
    }

    // MARK: Drops, workers, events

    /// Reasons for which something was dropped, the most frequent first.
    var dropTable: DashboardView.Table {
        let found = drops.drops.filter { $0.total > 0 }.sorted { $0.total > $1.total }
        return .init(
            rows: found.map { drop in
                let reason = DropReason.allCases.first { $0.token == drop.reason }
                return .init(
                    cells: [
                        drop.reason, Scaled.rounded(drop.perSecond), Scaled.grouped(drop.total),
                        reason?.meaning ?? "",
                    ], level: .plain, share: 0)
            }, note: found.isEmpty ? "No packet was dropped since the start." : "")
    }

    var workerTable: DashboardView.Table {
        .init(
            rows: status.workers.map { worker in
                .init(
                    cells: [
                        "\(worker.worker)", Scaled.percent(worker.busyShare),
                        Scaled.rounded(worker.rxPacketsPerSecond),
                        Scaled.tenths(worker.packetsPerBatch),
                        Scaled.grouped(UInt64(max(0, worker.chunks["free"] ?? 0))),
                        "\(worker.queue)", worker.cpu.map(String.init) ?? "any",
                    ], level: .plain, share: min(1, worker.busyShare))
            }, note: "")
    }

    /// What changed, the latest first.
    var eventTable: DashboardView.Table {
        let levels: [String: DashboardView.Level] = ["warning": .warning, "error": .bad]
        let shown = events.prefix(Self.shownEvents)
        return .init(
            rows: shown.map { event in
                .init(
                    cells: [Self.timeOfDay(event.time), event.text],
                    level: levels[event.level] ?? .plain, share: 0)
            }, note: shown.isEmpty ? "Nothing was reported." : "")
    }
}
