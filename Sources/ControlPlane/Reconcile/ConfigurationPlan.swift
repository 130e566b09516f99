// SPDX-License-Identifier: Apache-2.0
internal import DataPlane

/// What a configuration would change, before it changes.
public struct ConfigurationPlan: Equatable, Sendable {
    /// What becomes of something.
    public enum Sign: String, Sendable {
        /// It is new.
        case added = "+"
        /// It is taken out.
        case removed = "-"
        /// It changes.
        case changed = "~"
        /// It cannot be changed while the daemon runs.
        case needsRestart = "!"
    }

    /// Something that changes.
    public struct Entry: Equatable, Sendable {
        /// What becomes of it.
        public var sign: Sign
        /// A service's name, or a section.
        public var object: String
        /// What changes in particular, and what follows.
        public var lines: [String]
    }

    /// What changes, services in the order of the file.
    public var entries: [Entry] = []
    /// Slots of Maglev tables that get another owner, and the fewest that any table could move.
    public var movedSlots = 0
    /// See ``movedSlots``.
    public var leastMovedSlots = 0
    /// Tracked connections that stay as they are.
    public var keptConnections = 0
    /// Those of removed backends, which may finish within the drain timeout.
    public var finishingConnections = 0
    /// Those that end at once.
    public var endedConnections = 0

    /// Keys that need a restart, as `NAME BEFORE -> AFTER`.
    public var restarts: [String] {
        entries.filter { $0.sign == .needsRestart }.flatMap(\.lines)
    }
}

/// Makes a plan from what runs and what would run.
struct PlanBuilder {
    let before: (configuration: Configuration, result: SnapshotCompiler.Result)
    let after: (configuration: Configuration, result: SnapshotCompiler.Result)
    /// Tracked connections of a backend.
    let connections: (UInt16) -> Int
    private var plan = ConfigurationPlan()

    init(
        from before: (Configuration, SnapshotCompiler.Result),
        to after: (Configuration, SnapshotCompiler.Result),
        connections: @escaping (UInt16) -> Int
    ) {
        self.before = before
        self.after = after
        self.connections = connections
    }

    /// The plan.
    mutating func build() -> ConfigurationPlan {
        addKeys()
        let past = Dictionary(
            before.result.services.map { ($0.configuration.name, $0) },
            uniquingKeysWith: { first, _ in first })
        for service in after.result.services {
            if let old = past[service.configuration.name] {
                compare(old, service)
            } else {
                add(service)
            }
        }
        let names = Set(after.result.services.map(\.configuration.name))
        for old in before.result.services where !names.contains(old.configuration.name) {
            let ended = old.backends.reduce(0) { $0 + connections($1.identity.id) }
            plan.endedConnections += ended
            plan.entries.append(
                .init(
                    sign: .removed, object: old.configuration.name,
                    lines: ["connections: its \(ended) end"]))
        }
        return plan
    }

    private mutating func addKeys() {
        let all = ConfigurationKey.differences(from: before.configuration, to: after.configuration)
        for needsRestart in [false, true] {
            let grouped = Dictionary(
                grouping: all.filter { $0.needsRestart == needsRestart },
                by: { String($0.name.prefix { $0 != "." }) })
            for (section, differences) in grouped.sorted(by: { $0.key < $1.key }) {
                plan.entries.append(
                    .init(
                        sign: needsRestart ? .needsRestart : .changed, object: section,
                        lines: differences.map { "\($0.name) \($0.before) -> \($0.after)" }))
            }
        }
    }

    // MARK: Services

    private mutating func add(_ service: SnapshotCompiler.CompiledService) {
        let configuration = service.configuration
        let vips = configuration.vips.count
        let backends = service.backends.count
        plan.entries.append(
            .init(
                sign: .added, object: configuration.name,
                lines: [
                    """
                    \(vips) VIP\(vips == 1 ? "" : "s"), \(configuration.mode)\
                    \(configuration.snatPool.map { " \($0)" } ?? ""), \(backends) \
                    backend\(backends == 1 ? "" : "s")
                    """
                ]))
    }

    private mutating func compare(
        _ old: SnapshotCompiler.CompiledService, _ new: SnapshotCompiler.CompiledService
    ) {
        var lines = old.configuration.differences(to: new.configuration)
        lines += backendLines(old, new)
        let tracked = count(old, new)
        guard !lines.isEmpty || old.maglev !== new.maglev else { return }
        if old.maglev !== new.maglev, old.maglev.count == new.maglev.count {
            let moved = old.maglev.movedSlots(to: new.maglev)
            let least = Reconciler.leastMoved(old, new)
            plan.movedSlots += moved
            plan.leastMovedSlots += least
            lines.append(SlotText.moved(moved, least, of: new.maglev.count, "move"))
            lines.append("expected shares " + shares(new))
        }
        lines.append(tracked)
        plan.entries.append(.init(sign: .changed, object: new.configuration.name, lines: lines))
    }

    private func backendLines(
        _ old: SnapshotCompiler.CompiledService, _ new: SnapshotCompiler.CompiledService
    ) -> [String] {
        let past = old.backends.filter { !$0.isRemoved }.map(\.configuration)
        let next = new.backends.filter { !$0.isRemoved }.map(\.configuration)
        var lines: [String] = []
        for backend in past where !next.contains(where: { $0.endpoint == backend.endpoint }) {
            lines.append("backend \(backend.name) (\(backend.endpoint)): removed")
        }
        for backend in next {
            guard let known = past.first(where: { $0.endpoint == backend.endpoint }) else {
                lines.append(
                    "backend \(backend.name) (\(backend.endpoint)): added, weight \(backend.weight)"
                )
                continue
            }
            var clauses: [String] = []
            if known.name != backend.name {
                clauses.append("name \(known.name) -> \(backend.name)")
            }
            if known.weight != backend.weight {
                clauses.append("weight \(known.weight) -> \(backend.weight)")
            }
            if known.adminState != backend.adminState {
                clauses.append("\(known.adminState.rawValue) -> \(backend.adminState.rawValue)")
            }
            if !clauses.isEmpty {
                lines.append("backend \(backend.name): \(clauses.joined(separator: ", "))")
            }
        }
        return lines
    }

    /// Counts what becomes of a service's connections, and says it.
    private mutating func count(
        _ old: SnapshotCompiler.CompiledService, _ new: SnapshotCompiler.CompiledService
    ) -> String {
        var (kept, finishing, ended) = (0, 0, 0)
        for backend in old.backends {
            let tracked = connections(backend.identity.id)
            let now = new.backends.first { $0.identity.id == backend.identity.id }
            if now == nil || now?.configuration.adminState == .disabled {
                ended += tracked
            } else if now?.isRemoved == true {
                finishing += tracked
            } else {
                kept += tracked
            }
        }
        plan.keptConnections += kept
        plan.finishingConnections += finishing
        plan.endedConnections += ended
        var clauses = ["\(kept + finishing + ended) tracked"]
        if finishing > 0 {
            let timeout = Int(new.configuration.policy.drainTimeout.seconds)
            clauses.append("\(finishing) on removed backends may finish within \(timeout)s")
        }
        clauses.append(ended > 0 ? "\(ended) on disabled backends end" : "none breaks")
        return "connections: " + clauses.joined(separator: ", ")
    }

    private func shares(_ service: SnapshotCompiler.CompiledService) -> String {
        let counts = service.maglev.slotCounts
        return service.backends.filter { !$0.isRemoved }.map { backend in
            let slots = counts[backend.identity.id] ?? 0
            return "\(backend.configuration.name) "
                + SlotText.percent(slots, of: service.maglev.count)
        }.joined(separator: ", ")
    }
}

/// How numbers of slots are told.
enum SlotText {
    /// As in `Maglev: 8752 of 65537 slots move (13.4 %, least possible 13.3 %)`.
    static func moved(_ moved: Int, _ least: Int, of count: Int, _ verb: String) -> String {
        """
        Maglev: \(moved) of \(count) slots \(verb) (\(percent(moved, of: count)), least possible \
        \(percent(least, of: count)))
        """
    }

    static func percent(_ part: Int, of whole: Int) -> String {
        let tenths = (part * 1000 + whole / 2) / max(whole, 1)
        return "\(tenths / 10).\(tenths % 10) %"
    }
}
