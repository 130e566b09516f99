// SPDX-License-Identifier: Apache-2.0
internal import struct Foundation.Date

/// The document `xdplb.plan/1`.
package struct PlanDocument: Codable, Sendable {
    /// Something that changes.
    package struct Entry: Codable, Sendable {
        /// `added`, `removed`, `changed` or `needs_restart`.
        package var change: String
        package var object: String
        package var lines: [String]
    }

    package var schema = "xdplb.plan/1"
    package var generation: UInt64
    package var time: String
    package var entries: [Entry]
    /// The same as lines for a person.
    package var lines: [String]
    package var movedSlots: Int
    package var leastMovedSlots: Int
    package var keptConnections: Int
    package var finishingConnections: Int
    package var endedConnections: Int
    /// Whether a reload of this file is refused, as something in it needs a restart.
    package var needsRestart: Bool

    /// A plan as a document.
    package init(_ plan: ConfigurationPlan, generation: UInt64) {
        self.generation = generation
        time = AdminJSON.text(Date())
        entries = plan.entries.map { entry in
            Entry(change: entry.sign.word, object: entry.object, lines: entry.lines)
        }
        lines = plan.lines
        movedSlots = plan.movedSlots
        leastMovedSlots = plan.leastMovedSlots
        keptConnections = plan.keptConnections
        finishingConnections = plan.finishingConnections
        endedConnections = plan.endedConnections
        needsRestart = !plan.restarts.isEmpty
    }
}

/// The body of `POST /api/v1/plan`.
package struct PlanBody: ChangeBody {
    package static let members: Set = ["configuration", "file"]

    /// The content of a configuration file.
    package var configuration: String
    /// Its name, for errors.
    package var file: String?

    /// A body of its parts.
    package init(configuration: String, file: String?) {
        self.configuration = configuration
        self.file = file
    }
}

/// The body of `POST /api/v1/reload`.
package struct ReloadBody: ChangeBody {
    package static let members: Set = ["confirm_seconds"]

    /// Go back after so long unless it is reloaded again.
    package var confirmSeconds: Double?

    /// A body of its part.
    package init(confirmSeconds: Double?) { self.confirmSeconds = confirmSeconds }
}

extension ConfigurationPlan.Sign {
    fileprivate var word: String {
        switch self {
        case .added: "added"
        case .removed: "removed"
        case .changed: "changed"
        case .needsRestart: "needs_restart"
        }
    }
}
