// SPDX-License-Identifier: Apache-2.0
internal import DataPlane

/// Services that are deleted when their connections have ended.
extension Reconciler {
    /// Time between two looks at whether connections are left.
    private static let glance = Duration.milliseconds(200)

    /// Gives a service no new connections, and waits until it has none left in use.
    ///
    /// Other changes may be made meanwhile. When the task is cancelled, as its client is gone or the
    /// daemon stops, the service goes on as before.
    ///
    /// - Returns: The name of the service, which takes no new connections from then on.
    /// - Throws: ``ChangeRefused`` when the service could not be deleted then, or goes on.
    func drain(
        _ reference: ServiceReference, by user: String, ifGeneration wanted: UInt64?
    ) async throws(ChangeRefused) -> String {
        let service = try await beginEnding(reference, by: user, ifGeneration: wanted)
        var filter = ConnectionFilter()
        filter.service = service.id
        filter.isInUse = true
        while true {
            let left = await link.scan(filter, .list(limit: 0)).reduce(0) { $0 + $1.matched }
            if left == 0 { return service.name }
            if Task.isCancelled {
                // In a task of its own, which is not cancelled.
                await Task { await self.giveUpEnding(service.name, by: user) }.value
                throw ChangeRefused(
                    kind: .conflict, code: "drain_given_up",
                    message: """
                        \(service.name): nobody waits any more for its \(left) connections to end. It \
                        goes on as before
                        """)
            }
            try? await Task.sleep(for: Self.glance)
        }
    }

    private func beginEnding(
        _ reference: ServiceReference, by user: String, ifGeneration wanted: UInt64?
    ) async throws(ChangeRefused) -> (name: String, id: UInt16) {
        await gate.enter()
        defer { gate.leave() }
        if let wanted { try require(generation: wanted) }
        let name = desired.configuration.services[try desired.deletableIndex(of: reference)].name
        guard let id = running.identities.services[name], !desired.ending.contains(name) else {
            throw ChangeRefused(
                kind: .conflict, code: "drains_already",
                message: "\(name) is drained already, to be deleted then. Nothing was changed")
        }
        var next = desired
        // What forbids the deletion is told before anything is drained.
        try next.delete(.name(name))
        next = desired
        next.ending.insert(name)
        try await publishEnding(next, by: user, "\(name): drained, to be deleted")
        return (name, id)
    }

    /// Has a service go on that is not deleted after all.
    func giveUpEnding(_ name: String, by user: String) async {
        await gate.enter()
        defer { gate.leave() }
        var next = desired
        guard next.ending.remove(name) != nil else { return }
        do {
            try await publishEnding(next, by: user, "\(name): not drained any more")
        } catch {
            events.record(
                .publishFailed, .error, ["cause": "drain of \(name)", "message": "\(error)"])
        }
    }

    private func publishEnding(
        _ next: DesiredState, by user: String, _ change: String
    ) async throws(ChangeRefused) {
        var compiled = try compile(next)
        keepEnding(&compiled)
        var report = ChangeReport(
            lines: [], generation: generation + 1, isDryRun: false, workers: 0, took: .zero,
            movedSlots: 0, endedConnections: 0)
        try await publish(compiled, next, by: user, change: change, &report)
    }
}
