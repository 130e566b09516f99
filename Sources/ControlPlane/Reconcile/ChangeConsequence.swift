// SPDX-License-Identifier: Apache-2.0
internal import DataPlane

/// What a change means for connections that are tracked.
struct ChangeConsequence {
    var endedService: (name: String, id: UInt16)?
    var endedBackends: [UInt16] = []
    var removedBackends: [(id: UInt16, name: String)] = []
    var keptBackends: [UInt16] = []

    init(
        _ change: Change, _ before: SnapshotCompiler.Result, _ after: SnapshotCompiler.Result
    ) {
        for old in before.services {
            let name = old.configuration.name
            guard let new = after.services.first(where: { $0.id == old.id }),
                new.configuration.name == name
            else {
                endedService = (name, old.id)
                continue
            }
            for backend in new.backends {
                let past = old.backends.first { $0.identity.id == backend.identity.id }
                if backend.configuration.adminState == .disabled,
                    past?.configuration.adminState != .disabled
                {
                    endedBackends.append(backend.identity.id)
                } else if backend.isRemoved, past?.isRemoved == false {
                    removedBackends.append((backend.identity.id, backend.configuration.name))
                } else if case .updateService = change, !backend.isRemoved {
                    keptBackends.append(backend.identity.id)
                }
            }
        }
    }
}

/// Carrying out and describing what follows from a change.
extension Reconciler {
    func carryOut(_ consequence: ChangeConsequence, _ report: inout ChangeReport) async {
        if let service = consequence.endedService {
            var filter = ConnectionFilter()
            filter.service = service.id
            let ended = await link.scan(filter, .flush).reduce(0) { $0 + $1.matched }
            report.endedConnections += ended
            report.lines.append("  connections: \(ended) ended")
            running.identities.releaseService(service.name)
            for key in running.identities.backends.keys where key.service == service.name {
                running.identities.releaseBackend(key)
            }
        }
        for backend in consequence.endedBackends {
            var filter = ConnectionFilter()
            filter.backend = backend
            let ended = await link.scan(filter, .flush).reduce(0) { $0 + $1.matched }
            report.endedConnections += ended
            report.lines.append("  connections: \(ended) ended")
        }
        guard !consequence.removedBackends.isEmpty else { return }
        let kept = consequence.keptBackends.reduce(0) { $0 + tracked($1) }
        let leaving = consequence.removedBackends.reduce(0) { $0 + tracked($1.id) }
        let service = running.services.first { service in
            service.backends.contains { $0.identity.id == consequence.removedBackends[0].id }
        }
        let timeout = service?.configuration.policy.drainTimeout ?? .seconds(300)
        report.lines.append(
            """
              connections: \(kept + leaving) tracked; \(kept) on kept backends stay, \(leaving) on \
            removed ones may finish within \(Int(timeout.seconds))s
            """)
    }

    private func tracked(_ backend: UInt16) -> Int {
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
            let count = service.maglev.count
            report.movedSlots += moved
            report.lines.append(
                """
                  Maglev: \(moved) of \(count) slots moved (\(Self.percent(moved, count)), least \
                possible \(Self.percent(least, count)))
                """)
        }
        report.lines += next.problems.map { "  warning: \($0)" }
    }

    /// Slots that any table with the new shares must move: what the gaining backends gain.
    private static func leastMoved(
        _ before: SnapshotCompiler.CompiledService, _ after: SnapshotCompiler.CompiledService
    ) -> Int {
        let old = before.maglev.slotCounts
        return after.maglev.slotCounts.reduce(0) { sum, share in
            sum + max(0, share.value - (old[share.key] ?? 0))
        }
    }

    private static func percent(_ part: Int, _ whole: Int) -> String {
        let tenths = (part * 1000 + whole / 2) / whole
        return "\(tenths / 10).\(tenths % 10) %"
    }
}
