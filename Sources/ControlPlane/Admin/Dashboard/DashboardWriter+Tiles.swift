// SPDX-License-Identifier: Apache-2.0

/// Is it losing, is it full, who is ill.
extension DashboardWriter {
    var tiles: [DashboardView.Tile] {
        [
            packets("in", status.interface.rxPacketsPerSecond, status.interface.rxPackets),
            packets("out", status.interface.txPacketsPerSecond, status.interface.txPackets),
            newConnections, dropTile, ringLosses, tables, busiest,
        ]
    }

    private func packets(
        _ label: String, _ rate: Double, _ total: UInt64
    ) -> DashboardView.Tile {
        .init(
            label: label, value: Scaled.rounded(rate), unit: "packets/s",
            detail: "\(Scaled.grouped(total)) in all", level: .plain)
    }

    private var newConnections: DashboardView.Tile {
        .init(
            label: "new connections",
            value: Scaled.rounded(services.services.reduce(0) { $0 + $1.newPerSecond }),
            unit: "/s", detail: "\(Scaled.grouped(status.connections.used)) tracked", level: .plain)
    }

    private var dropTile: DashboardView.Tile {
        let now = drops.drops.filter { Self.isCounting($0.perSecond) }
            .sorted { $0.perSecond > $1.perSecond }
        let total = drops.drops.reduce(0) { $0 + $1.total }
        let reasons = now.prefix(2).map { "\($0.reason) \(Scaled.rounded($0.perSecond))" }
        return .init(
            label: "drops", value: Scaled.rounded(now.reduce(0) { $0 + $1.perSecond }), unit: "/s",
            detail: now.isEmpty
                ? "\(Scaled.grouped(total)) in all" : reasons.joined(separator: ", "),
            level: now.isEmpty ? .plain : .warning)
    }

    /// Losses before the pipeline: the kernel had no room to put a frame.
    private var ringLosses: DashboardView.Tile {
        let rate = status.interface.ringLossesPerSecond
        return .init(
            label: "ring losses", value: Scaled.rounded(rate), unit: "/s",
            detail: "\(Scaled.grouped(status.interface.ringLosses)) in all",
            level: Self.isCounting(rate) ? .bad : .plain)
    }

    private var tables: DashboardView.Tile {
        let (used, capacity) = (status.connections.used, status.connections.capacity)
        let share = capacity > 0 ? Double(used) / Double(capacity) : 0
        return .init(
            label: "connection tables", value: Scaled.percent(share), unit: "full",
            detail: "\(Scaled.grouped(used)) of \(Scaled.grouped(capacity))",
            level: share < 0.8 ? .plain : share < 0.95 ? .warning : .bad)
    }

    private var busiest: DashboardView.Tile {
        let worker = status.workers.max { $0.busyShare < $1.busyShare }
        let share = worker?.busyShare ?? 0
        let place = worker.map { "worker \($0.worker)" + ($0.cpu.map { " on cpu \($0)" } ?? "") }
        return .init(
            label: "busiest worker", value: Scaled.percent(share), unit: "busy",
            detail: place ?? "no worker", level: share < 0.9 ? .plain : .warning)
    }

    /// What would be shown as 0 is 0.
    private static func isCounting(_ rate: Double) -> Bool { rate >= 0.5 }

    // MARK: Who is ill?

    var attention: [DashboardView.Phrase] {
        let found = problems + behind + illServices + illBackends
        let all = found.filter { $0.level == .bad } + found.filter { $0.level != .bad }
        if all.isEmpty {
            return [.init(text: "All services and backends are well.", level: .ok)]
        }
        let more = all.count - Self.shownPhrases
        return all.prefix(Self.shownPhrases)
            + (more > 0 ? [.init(text: "\(more) more: xdplb status", level: .warning)] : [])
    }

    private var problems: [DashboardView.Phrase] {
        status.problems.map { .init(text: $0, level: .bad) }
    }

    /// Services that are down are among the problems, with the reason.
    private var illServices: [DashboardView.Phrase] {
        status.services.filter(\.isDegraded).map {
            .init(
                text: "\($0.name): \($0.eligible) of \($0.backends) backends eligible",
                level: .warning)
        }
    }

    private var illBackends: [DashboardView.Phrase] {
        backends.backends.filter { Self.isIll($0) && !$0.removed }.map { backend in
            .init(
                text: "\(backend.service)/\(backend.name): \(Self.state(of: backend)) for "
                    + since(backend),
                level: Self.level(of: backend))
        }
    }

    private var behind: [DashboardView.Phrase] {
        status.workers.filter { $0.generation < status.generation }.map {
            .init(text: "worker \($0.worker) runs generation \($0.generation)", level: .bad)
        }
    }
}
