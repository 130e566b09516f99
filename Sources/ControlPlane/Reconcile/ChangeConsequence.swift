// SPDX-License-Identifier: Apache-2.0
internal import DataPlane

/// What a change means for connections that are tracked.
struct ChangeConsequence {
    var endedServices: [(name: String, id: UInt16)] = []
    var endedBackends: [UInt16] = []
    /// Backends that were taken out of their service, and may finish.
    var removedBackends: [(service: String, id: UInt16)] = []
    var keptBackends: [UInt16] = []

    init(_ before: SnapshotCompiler.Result, _ after: SnapshotCompiler.Result) {
        let running = Dictionary(uniqueKeysWithValues: after.services.map { ($0.id, $0) })
        for old in before.services {
            let name = old.configuration.name
            guard let new = running[old.id], new.configuration.name == name else {
                endedServices.append((name, old.id))
                continue
            }
            let past = Dictionary(uniqueKeysWithValues: old.backends.map { ($0.identity.id, $0) })
            for backend in new.backends {
                let before = past[backend.identity.id]
                if backend.configuration.adminState == .disabled {
                    if before?.configuration.adminState != .disabled {
                        endedBackends.append(backend.identity.id)
                    }
                } else if backend.isRemoved {
                    if before?.isRemoved == false {
                        removedBackends.append((name, backend.identity.id))
                    }
                } else {
                    keptBackends.append(backend.identity.id)
                }
            }
        }
    }
}

/// Carrying out and describing what follows from a change.
extension Reconciler {
    func carryOut(_ consequence: ChangeConsequence, _ report: inout ChangeReport) async {
        var ended = 0
        for service in consequence.endedServices {
            var filter = ConnectionFilter()
            filter.service = service.id
            ended += await link.scan(filter, .flush).reduce(0) { $0 + $1.matched }
            running.identities.releaseService(service.name)
            for key in running.identities.backends.keys where key.service == service.name {
                running.identities.releaseBackend(key)
            }
        }
        for backend in consequence.endedBackends {
            var filter = ConnectionFilter()
            filter.backend = backend
            ended += await link.scan(filter, .flush).reduce(0) { $0 + $1.matched }
        }
        if !consequence.endedServices.isEmpty || !consequence.endedBackends.isEmpty {
            report.endedConnections += ended
            report.lines.append("  connections: \(ended) ended")
        }
        let services = Set(consequence.removedBackends.map(\.service))
        guard !services.isEmpty else { return }
        let affected = running.services.filter { services.contains($0.configuration.name) }
        let own = Set(affected.flatMap(\.backends).map(\.identity.id))
        let kept = consequence.keptBackends.filter(own.contains).reduce(0) { $0 + tracked($1) }
        let leaving = consequence.removedBackends.reduce(0) { $0 + tracked($1.id) }
        let timeout = affected.map(\.configuration.policy.drainTimeout).max() ?? .seconds(300)
        report.lines.append(
            """
              connections: \(kept + leaving) tracked; \(kept) on kept backends stay, \(leaving) on \
            removed ones may finish within \(Int(timeout.seconds))s
            """)
    }

    func tracked(_ backend: UInt16) -> Int {
        link.counterPages.reduce(0) { $0 + Int($1[backend: backend, .connections]) }
    }

    /// Gives a service no new connections, and waits until it has none left.
    ///
    /// Other changes may be made meanwhile.
    func drain(_ reference: ServiceReference, by user: String) async throws(ChangeRefused) {
        let service = desired.configuration.services[try desired.deletableIndex(of: reference)]
        guard let id = running.identities.services[service.name] else { return }
        for backend in service.backends where backend.adminState == .active {
            let own = BackendReference(service: reference, backend: backend.name)
            _ = try await apply(
                .setAdminState(own, .draining), by: user, ifGeneration: nil, dryRun: false)
        }
        var filter = ConnectionFilter()
        filter.service = id
        filter.isInUse = true
        while await link.scan(filter, .list(limit: 0)).contains(where: { $0.matched > 0 }) {
            try? await Task.sleep(for: .milliseconds(200))
        }
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
