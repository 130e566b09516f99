// SPDX-License-Identifier: Apache-2.0

/// The document `xdplb.dashboard/1`, of which `/api/v1/events` sends one each second.
///
/// Lists are bounded as those on the page are; what is left out is said in the page's notes.
package struct DashboardDocument: Codable, Sendable {
    package var schema = "xdplb.dashboard/1"
    package var generation: UInt64
    package var time: String
    package var status: StatusDocument
    package var services: [ServiceDocument]
    package var backends: [BackendDocument]
    package var drops: [DropsDocument.Reason]
    package var events: [EventDocument]
    package var page: DashboardView
}

/// What the dashboard says, word for word.
///
/// Made once, for the page that the server renders and for the script that follows it: neither of
/// them formats a number.
package struct DashboardView: Codable, Sendable {
    /// How something is; the words beside it say the same.
    package enum Level: String, Codable, Sendable {
        case ok
        /// Not as usual, on purpose or for now.
        case warning
        /// Somebody should look at it.
        case bad
        /// Neither well nor ill.
        case plain
    }

    /// Words and how what they say is.
    package struct Phrase: Codable, Sendable {
        package var text: String
        package var level: Level
    }

    /// A number that is read from afar.
    package struct Tile: Codable, Sendable {
        package var label: String
        package var value: String
        package var unit: String
        package var detail: String
        package var level: Level
    }

    /// A line of a table, as many cells as the table has columns.
    package struct Row: Codable, Sendable {
        package var cells: [String]
        /// How the state in the column of states is.
        package var level: Level
        /// Length of the bar in the column of shares, 0 to 1; 0 where there is no such column.
        package var share: Double
    }

    /// The lines of a table.
    package struct Table: Codable, Sendable {
        package var rows: [Row]
        /// What is not in the table, or why it is empty; empty when there is nothing to say.
        package var note: String
    }

    /// For the browser's tab.
    package var title: String
    package var node: String
    /// Whether it is serving.
    package var state: Phrase
    /// Version, generation, uptime.
    package var facts: String
    /// Time of day of the numbers.
    package var time: String
    package var tiles: [Tile]
    /// Who is ill, worst first; one phrase that says so when nobody is.
    package var attention: [Phrase]
    package var services: Table
    package var backends: Table
    package var drops: Table
    package var workers: Table
    package var events: Table
    /// Interface, memory, file.
    package var setup: String
}
