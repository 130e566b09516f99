// SPDX-License-Identifier: Apache-2.0
internal import DataPlane
internal import struct Foundation.Date

/// Reading the file again, saying before what would change, and going back.
extension Reconciler {
    /// See ``ControlPlaneService/plan(_:named:)``.
    public func plan(_ text: String, named name: String) throws(ChangeRefused) -> ConfigurationPlan
    {
        let file: ConfigurationFile
        do throws(ConfigurationError) {
            let facts = HostFacts.read(
                for: try ConfigurationFile.read(text, named: name).configuration)
            file = try ConfigurationFile.read(text, named: name, against: facts)
        } catch {
            throw Self.refusal(error)
        }
        let configuration = source?.adjusted(file.configuration) ?? file.configuration
        let next = desired.reloading(configuration, at: .now).state
        return makePlan(next, try compile(next))
    }

    private func makePlan(
        _ next: DesiredState, _ compiled: SnapshotCompiler.Result
    ) -> ConfigurationPlan {
        var builder = PlanBuilder(
            from: (desired.configuration, running), to: (next.configuration, compiled),
            connections: { [pages = link.counterPages] id in
                pages.reduce(0) { $0 + Int($1[backend: id, .connections]) }
            })
        return builder.build()
    }

    /// Applies the file, whole or not at all.
    ///
    /// - Parameters:
    ///   - user: Who asks.
    ///   - confirm: Go back after this time unless the file is applied again; `nil` does not, and
    ///     confirms what is to be confirmed.
    /// - Returns: What was done.
    /// - Throws: ``ChangeRefused`` with the reason; what ran before runs on then.
    public func reload(
        by user: String, confirm: Duration?
    ) async throws(ChangeRefused) -> ChangeReport {
        await gate.enter()
        defer { gate.leave() }
        supervisor?.beginReload()
        // Also of one that is refused: what ran before runs on.
        defer { supervisor?.ready() }
        do throws(ChangeRefused) {
            let report = try await apply(try readSource(), by: user, confirm)
            lastReload.isSuccessful = true
            lastReload.succeededAt = Date()
            lastReload.message = nil
            return report
        } catch {
            lastReload.isSuccessful = false
            lastReload.message = error.message
            events.record(
                .reloadRefused, .error,
                [
                    "file": source?.path ?? "none", "by": user, "at": error.location ?? "-",
                    "message": error.message.prefix { $0 != "\n" }.description,
                ])
            throw error
        }
    }

    private typealias SourceFile = (text: String, configuration: Configuration)

    private func readSource() throws(ChangeRefused) -> SourceFile {
        guard let source else {
            throw ChangeRefused(
                kind: .conflict, code: "no_file",
                message: """
                    the daemon was started from arguments, so there is no file to reload. Start it \
                    with 'xdplb run --config FILE'. Nothing was changed
                    """)
        }
        do throws(ConfigurationError) {
            return try source.read()
        } catch {
            throw Self.refusal(error)
        }
    }

    private static func refusal(_ error: ConfigurationError) -> ChangeRefused {
        let first = error.problems.first { $0.severity == .error }
        return ChangeRefused(
            kind: .invalid, code: "configuration",
            message: "\(error.description)\nNothing was changed",
            location: first.map { "\($0.line):\($0.column)" })
    }

    private func apply(
        _ file: SourceFile, by user: String, _ confirm: Duration?
    ) async throws(ChangeRefused) -> ChangeReport {
        let (next, lost) = desired.reloading(file.configuration, at: .now)
        var compiled = try compile(next)
        let plan = makePlan(next, compiled)
        guard plan.restarts.isEmpty else {
            throw ChangeRefused(
                kind: .conflict, code: "needs_restart",
                message: """
                    \(plan.restarts.joined(separator: "; ")): fixed when the daemon starts. Take it \
                    out of the file, or 'systemctl restart xdplb'. Nothing was changed
                    """)
        }
        keepEnding(&compiled)
        var report = ChangeReport(
            lines: plan.lines + lost.map { "\($0): what commands changed is overwritten" },
            generation: generation + 1, isDryRun: false, workers: link.facts.workers.count,
            took: .zero, movedSlots: plan.movedSlots, endedConnections: 0)
        if plan.entries.isEmpty { report.lines.append("nothing differs") }
        report.lines += compiled.problems.map { "warning: \($0)" }
        let before = desired
        try await publish(compiled, next, by: user, &report)
        source?.store.keep(file.text, generation: generation)
        source?.store.keep(overrides: desired.overrides)
        noteConfirmation(confirm, before, &report)
        return report
    }

    private func publish(
        _ compiled: SnapshotCompiler.Result, _ next: DesiredState, by user: String,
        _ report: inout ChangeReport
    ) async throws(ChangeRefused) {
        let consequence = ChangeConsequence(running, compiled)
        let began = ContinuousClock.now
        do {
            try await publish(compiled, next, by: user)
        } catch {
            throw ChangeRefused(
                kind: .failed, code: "publish", message: "\(error). Nothing was changed")
        }
        report.took = ContinuousClock.now - began
        source?.applied(next.configuration)
        await carryOut(consequence, &report)
    }

    // MARK: Confirmation

    private func noteConfirmation(
        _ confirm: Duration?, _ before: DesiredState, _ report: inout ChangeReport
    ) {
        // What is to be confirmed goes back to where the first of several such reloads began.
        let origin = confirmation?.origin ?? before
        if confirmation != nil, confirm == nil { report.lines.append("confirmed") }
        confirmation?.task.cancel()
        confirmation = nil
        lastReload.confirmUntil = nil
        guard let confirm else { return }
        lastReload.confirmUntil = Date().addingTimeInterval(confirm.seconds)
        confirmation = Confirmation(
            origin: origin,
            task: Task { [weak self] in
                try? await Task.sleep(for: confirm)
                if !Task.isCancelled { await self?.undo() }
            })
        report.lines.append(
            "to be confirmed: 'xdplb reload' within \(Int(confirm.seconds))s, or it is undone")
    }

    /// Goes back to what ran before a reload that was not confirmed.
    private func undo() async {
        await gate.enter()
        defer { gate.leave() }
        guard let origin = confirmation?.origin, lastReload.confirmUntil != nil else { return }
        confirmation = nil
        lastReload.confirmUntil = nil
        let next = origin.returning(from: desired, at: .now)
        var report = ChangeReport(
            lines: [], generation: generation + 1, isDryRun: false, workers: 0, took: .zero,
            movedSlots: 0, endedConnections: 0)
        do {
            var compiled = try compile(next)
            keepEnding(&compiled)
            try await publish(compiled, next, by: "confirm_expired", &report)
            events.record(
                .confirmExpired, .warning,
                ["generation": "\(generation)", "file": source?.path ?? "none"])
        } catch {
            events.record(.publishFailed, .error, ["cause": "confirm", "message": "\(error)"])
        }
    }

    /// A reload that is undone unless it is confirmed.
    struct Confirmation {
        /// What ran before.
        var origin: DesiredState
        /// Undoes it in time.
        var task: Task<Void, Never>
    }
}

extension ConfigurationPlan {
    /// The plan as lines, as commands print it.
    public var lines: [String] {
        let width = max(10, entries.map(\.object.count).max() ?? 0)
        let indent = String(repeating: " ", count: width + 3)
        return entries.flatMap { entry -> [String] in
            let name = entry.object + String(repeating: " ", count: width - entry.object.count)
            return entry.lines.enumerated().map { index, line in
                (index == 0 ? "\(entry.sign.rawValue) \(name) " : indent) + line
            }
        }
    }
}
