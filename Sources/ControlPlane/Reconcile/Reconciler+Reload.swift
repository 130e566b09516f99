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

    /// See ``ControlPlaneService/reload(by:confirm:ifGeneration:dryRun:)``.
    public func reload(
        by user: String, confirm: Duration?, ifGeneration wanted: UInt64?, dryRun: Bool
    ) async throws(ChangeRefused) -> ChangeReport {
        await gate.enter()
        defer { gate.leave() }
        if let wanted { try require(generation: wanted) }
        if dryRun { return try rehearseReload() }
        supervisor?.beginReload()
        // Also of one that is refused: what ran before runs on.
        defer { supervisor?.ready() }
        do throws(ChangeRefused) {
            let report = try await apply(try prepareReload(), by: user, confirm)
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

    /// A file that could be applied.
    private struct PreparedReload {
        var text: String
        var next: DesiredState
        var compiled: SnapshotCompiler.Result
        var plan: ConfigurationPlan
        var report: ChangeReport
    }

    private func prepareReload() throws(ChangeRefused) -> PreparedReload {
        let file = try readSource()
        let (next, lost) = desired.reloading(file.configuration, at: .now)
        var compiled = try compile(next)
        let plan = makePlan(next, compiled)
        guard plan.restarts.isEmpty else {
            throw ChangeRefused(
                kind: .conflict, code: "needs_restart",
                message: """
                    these keys take effect only at the start: \
                    \(plan.restarts.joined(separator: "; ")). Take the changes back in the file, or \
                    'systemctl restart xdplb'. Nothing was changed
                    """)
        }
        keepEnding(&compiled)
        var report = ChangeReport(
            lines: plan.lines
                + lost.map { "\($0): changes made by command are overwritten by the file" },
            generation: generation + 1, isDryRun: false, workers: link.facts.workers.count,
            took: .zero, movedSlots: plan.movedSlots, endedConnections: 0)
        if plan.entries.isEmpty { report.lines.append("nothing differs") }
        report.lines += compiled.problems.map { "warning: \($0)" }
        return PreparedReload(
            text: file.text, next: next, compiled: compiled, plan: plan, report: report)
    }

    private func rehearseReload() throws(ChangeRefused) -> ChangeReport {
        let prepared = try prepareReload()
        var report = prepared.report
        report.isDryRun = true
        report.generation = generation
        report.workers = 0
        rehearse(
            ChangeConsequence(running, prepared.compiled, prepared.next.retiring, at: .now),
            &report)
        return report
    }

    private func apply(
        _ prepared: PreparedReload, by user: String, _ confirm: Duration?
    ) async throws(ChangeRefused) -> ChangeReport {
        var report = prepared.report
        let before = desired
        try await publish(
            prepared.compiled, prepared.next, by: user, change: prepared.plan.summary, &report)
        source?.store.keep(prepared.text, generation: generation)
        source?.store.keep(overrides: desired.overrides)
        noteConfirmation(confirm, before, &report)
        return report
    }

    // MARK: Confirmation

    /// Time between two attempts to go back.
    private static var undoInterval: Duration { .seconds(1) }

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
                // Tried again when it fails: what nobody confirmed must not stay.
                var pause = confirm
                while let self, await self.confirmation != nil {
                    try? await Task.sleep(for: pause)
                    if Task.isCancelled { return }
                    await self.undo()
                    pause = Self.undoInterval
                }
            })
        report.lines.append(
            "to be confirmed: 'xdplb reload' within \(Int(confirm.seconds))s, or it is undone")
    }

    /// Goes back to what ran before a reload that was not confirmed.
    private func undo() async {
        await gate.enter()
        defer { gate.leave() }
        // Confirmed, or begun anew, while this one waited for its turn.
        guard !Task.isCancelled, let origin = confirmation?.origin else { return }
        let (next, lost) = origin.returning(from: desired, at: .now)
        var report = ChangeReport(
            lines: [], generation: generation + 1, isDryRun: false, workers: 0, took: .zero,
            movedSlots: 0, endedConnections: 0)
        do {
            var compiled = try compile(next)
            keepEnding(&compiled)
            try await publish(
                compiled, next, by: "confirm_expired", change: "reload undone", &report)
            confirmation = nil
            lastReload.confirmUntil = nil
            source?.store.keep(overrides: desired.overrides)
            var fields = [
                (name: "generation", value: "\(generation)"), ("file", source?.path ?? "none"),
            ]
            if !lost.isEmpty { fields.append(("overwritten", lost.joined(separator: ","))) }
            events.record(.confirmExpired, .warning, fields)
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
    /// What differs, in a few words for the log.
    fileprivate var summary: String {
        let shown = entries.prefix(8).map { "\($0.sign.rawValue) \($0.object)" }
        let more = entries.count > shown.count ? ["and \(entries.count - shown.count) more"] : []
        return entries.isEmpty
            ? "reload, nothing differs" : "reload " + (shown + more).joined(separator: ", ")
    }

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
