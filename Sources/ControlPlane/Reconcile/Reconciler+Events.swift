// SPDX-License-Identifier: Apache-2.0
internal import DataPlane

/// What the reconciler tells of what it does.
extension Reconciler {
    /// Tells which services went down or came back with a generation.
    func tellOfServices(since before: SnapshotCompiler.Result) {
        for service in running.services {
            let past = before.services.first { $0.id == service.id }
            if service.isUp, past?.isUp == false { tell(.serviceRecovered, service) }
            if !service.isUp, past?.isUp != false { tell(.serviceWithoutBackend, service) }
        }
    }

    func tell(_ kind: EventKind, _ service: SnapshotCompiler.CompiledService) {
        events.record(
            kind, kind == .serviceRecovered ? .notice : .error,
            [
                "service": service.configuration.name, "eligible": "\(service.members.count)",
                "minimum_backends": "\(service.configuration.neededBackends)",
                "backends": "\(service.backends.count { !$0.isRemoved })",
            ])
    }

    /// Tells of the interface and of next hops that stopped answering.
    func tellOfInterface(_ before: ObservedState) {
        let name = desired.configuration.interface.name
        if observed.isUp != before.isUp {
            events.record(
                observed.isUp ? .interfaceUp : .interfaceDown, observed.isUp ? .notice : .error,
                ["interface": name])
        }
        for (address, neighbour) in observed.neighbours
        where neighbour.hasFailed && before.neighbours[address]?.hasFailed != true {
            guard let users = running.nextHopUsers[address] else { continue }
            events.record(
                .nextHopFailed, .warning,
                [
                    "interface": name, "next_hop": "\(address)",
                    "backends": users.prefix(4).joined(separator: ",")
                        + (users.count > 4 ? ",…" : ""),
                ])
        }
    }

    /// Tells of a backend that somebody set to another admin state.
    func tell(of change: Change, by user: String) {
        guard case .setAdminState(let reference, let state) = change,
            let (service, backend) = try? desired.names(of: reference)
        else { return }
        events.record(
            .backendAdminState, .notice,
            [
                "service": service, "backend": backend,
                "to": state.rawValue, "by": user, "generation": "\(generation)",
            ])
    }
}

extension SnapshotCompiler.Result {
    /// Slots of Maglev tables that have another owner than in `before`.
    func movedSlots(since before: SnapshotCompiler.Result) -> Int {
        services.reduce(0) { sum, service in
            guard let past = before.services.first(where: { $0.id == service.id }),
                past.maglev !== service.maglev
            else { return sum }
            return sum + past.maglev.movedSlots(to: service.maglev)
        }
    }
}
