// SPDX-License-Identifier: Apache-2.0
internal import DataPlane

/// What a change means for connections that are tracked.
struct ChangeConsequence {
    /// A backend that gets no new connections, and keeps those that it has for a time.
    struct Leaving {
        var service: String
        var name: String
        var id: UInt16
        /// How long it keeps them; `nil` without a limit.
        var timeout: Duration?
    }

    /// Services that are gone, with the backends of theirs.
    var endedServices: [(name: String, id: UInt16, backends: [UInt16])] = []
    /// Backends whose connections end at once: disabled ones, and ones removed without a time.
    var endedBackends: [UInt16] = []
    /// Backends that were taken out of their service, and may finish.
    var removedBackends: [Leaving] = []
    /// Backends that an operator drains.
    var drainedBackends: [Leaving] = []
    var keptBackends: [UInt16] = []

    /// What follows when `after` runs in place of `before`, in which some backends retire.
    init(
        _ before: SnapshotCompiler.Result, _ after: SnapshotCompiler.Result,
        _ retiring: [DesiredState.RetiringBackend], at now: ContinuousClock.Instant
    ) {
        let running = Dictionary(uniqueKeysWithValues: after.services.map { ($0.id, $0) })
        for old in before.services {
            let name = old.configuration.name
            guard let new = running[old.id], new.configuration.name == name else {
                endedServices.append((name, old.id, old.backends.map(\.identity.id)))
                continue
            }
            let past = Dictionary(uniqueKeysWithValues: old.backends.map { ($0.identity.id, $0) })
            for backend in new.backends {
                let deadline = retiring.first {
                    $0.service == name
                        && $0.configuration.endpoint == backend.configuration.endpoint
                }?.deadline
                add(backend, past[backend.identity.id], of: name, deadline.map { $0 - now })
            }
        }
    }

    private mutating func add(
        _ backend: SnapshotCompiler.CompiledBackend, _ past: SnapshotCompiler.CompiledBackend?,
        of service: String, _ timeout: Duration?
    ) {
        let id = backend.identity.id
        let state = backend.configuration.adminState
        let leaving = Leaving(
            service: service, name: backend.configuration.name, id: id, timeout: timeout)
        if state == .disabled {
            if past?.configuration.adminState != .disabled { endedBackends.append(id) }
        } else if backend.isRemoved {
            guard past?.isRemoved == false else { return }
            if let timeout, timeout > .zero {
                removedBackends.append(leaving)
            } else {
                endedBackends.append(id)
            }
        } else {
            keptBackends.append(id)
            if state == .draining, past?.configuration.adminState == .active {
                drainedBackends.append(leaving)
            }
        }
    }

    /// Whether connections end at once.
    var endsAny: Bool { !endedServices.isEmpty || !endedBackends.isEmpty }
}

/// Carrying out and describing what follows from a change.
extension Reconciler {
    /// Ends the connections that are to end, and says what becomes of all.
    func carryOut(_ consequence: ChangeConsequence, _ report: inout ChangeReport) async {
        var ended = 0
        for service in consequence.endedServices {
            var filter = ConnectionFilter()
            filter.service = service.id
            ended += await flush(filter)
            running.identities.releaseService(service.name)
            for key in running.identities.backends.keys where key.service == service.name {
                running.identities.releaseBackend(key)
            }
        }
        for backend in consequence.endedBackends {
            var filter = ConnectionFilter()
            filter.backend = backend
            ended += await flush(filter)
        }
        describe(consequence, ended: ended, &report)
    }

    /// Says what would become of connections.
    func rehearse(_ consequence: ChangeConsequence, _ report: inout ChangeReport) {
        let ending = consequence.endedServices.flatMap(\.backends) + consequence.endedBackends
        describe(consequence, ended: ending.reduce(0) { $0 + tracked($1) }, &report)
    }

    private func describe(
        _ consequence: ChangeConsequence, ended: Int, _ report: inout ChangeReport
    ) {
        if consequence.endsAny {
            report.endedConnections += ended
            report.lines.append(
                "  connections: \(ended) \(report.isDryRun ? "would end" : "ended")")
        }
        if !consequence.drainedBackends.isEmpty {
            let staying = consequence.drainedBackends.reduce(0) { $0 + tracked($1.id) }
            report.lines.append("  connections: \(staying) stay until they end")
        }
        let services = Set(consequence.removedBackends.map(\.service))
        guard !services.isEmpty else { return }
        let affected = running.services.filter { services.contains($0.configuration.name) }
        let own = Set(affected.flatMap(\.backends).map(\.identity.id))
        let kept = consequence.keptBackends.filter(own.contains).reduce(0) { $0 + tracked($1) }
        let leaving = consequence.removedBackends.reduce(0) { $0 + tracked($1.id) }
        let timeout = consequence.removedBackends.compactMap(\.timeout).max() ?? .zero
        report.lines.append(
            """
              connections: \(kept + leaving) tracked; \(kept) on kept backends stay, \(leaving) on \
            removed ones may finish within \(Int(timeout.seconds.rounded(.up)))s
            """)
    }

    /// Ends the connections that match.
    ///
    /// - Returns: How many there were.
    func flush(_ filter: ConnectionFilter) async -> Int {
        await link.scan(filter, .flush).reduce(0) { $0 + $1.matched }
    }

    func tracked(_ backend: UInt16) -> Int {
        link.counterPages.reduce(0) { $0 + Int($1[backend: backend, .connections]) }
    }

    func describe(_ next: SnapshotCompiler.Result, _ report: inout ChangeReport) {
        for service in next.services {
            guard let before = running.services.first(where: { $0.id == service.id }),
                before.maglev !== service.maglev
            else { continue }
            let moved = before.maglev.movedSlots(to: service.maglev)
            let least = Self.leastMoved(before, service)
            report.movedSlots += moved
            report.lines.append(
                "  " + SlotText.moved(moved, least, of: service.maglev.count, "moved"))
        }
        report.lines += next.problems.map { "  warning: \($0)" }
    }

    /// Slots that any table with the new shares must move: what the gaining backends gain.
    static func leastMoved(
        _ before: SnapshotCompiler.CompiledService, _ after: SnapshotCompiler.CompiledService
    ) -> Int {
        let old = before.maglev.slotCounts
        return after.maglev.slotCounts.reduce(0) { sum, share in
            sum + max(0, share.value - (old[share.key] ?? 0))
        }
    }
}
