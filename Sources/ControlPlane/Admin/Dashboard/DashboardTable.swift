// SPDX-License-Identifier: Apache-2.0

/// A table of the dashboard: its columns, and how its lines look in HTML.
struct DashboardTable: Sendable {
    /// What a column holds, and so how it looks.
    enum Kind: String, Sendable {
        /// What the line is about; its header.
        case name
        /// A word for how it is, in the colour of the line's level.
        case state
        /// A bar, and the number that it is as long as.
        case share
        case number
        case text
    }

    /// A column.
    struct Column: Sendable {
        var kind: Kind
        var title: String
    }

    /// Part of the identifiers in the page.
    let id: String
    let title: String
    let columns: [Column]

    private init(_ id: String, _ title: String, _ columns: [(Kind, String)]) {
        self.id = id
        self.title = title
        self.columns = columns.map { Column(kind: $0.0, title: $0.1) }
    }

    // What matters most stands next to the name: a narrow screen shows the first columns.

    static let services = DashboardTable(
        "services", "Services",
        [
            (.name, "service"), (.state, "backends"), (.number, "packets/s"), (.number, "bit/s"),
            (.number, "new/s"), (.number, "connections"), (.text, "mode"), (.text, "answers at"),
        ])

    static let backends = DashboardTable(
        "backends", "Backends",
        [
            (.name, "backend"), (.state, "state"), (.share, "share"), (.number, "packets/s"),
            (.number, "connections"), (.number, "weight"), (.text, "address"), (.text, "since"),
        ])

    static let drops = DashboardTable(
        "drops", "Drops by reason",
        [(.name, "reason"), (.number, "/s"), (.number, "total"), (.text, "meaning")])

    static let workers = DashboardTable(
        "workers", "Workers",
        [
            (.name, "worker"), (.share, "busy"), (.number, "packets/s"), (.number, "a batch"),
            (.number, "free chunks"), (.number, "queue"), (.number, "cpu"),
        ])

    static let events = DashboardTable(
        "events", "Events", [(.name, "time"), (.state, "what happened")])

    // MARK: HTML

    /// The table in a card of its own.
    ///
    /// A blank line is beside it, of which the script makes those that come later.
    func card(_ table: DashboardView.Table) -> HTML {
        .element("section", ["class": "card", "id": id]) {
            HTML.element(
                "div",
                // The keyboard can scroll what does not fit.
                ["class": "wide", "role": "region", "tabindex": "0", "aria-label": title]
            ) {
                HTML.element("table") {
                    HTML.element("caption") { title }
                    HTML.element("thead") { HTML.element("tr") { headers } }
                    HTML.element("tbody") { for row in table.rows { line(row) } }
                }
            }
            HTML.element("p", ["class": "note"]) { table.note }
            HTML.element("template") { line(blank) }
        }
    }

    @HTMLBuilder private var headers: HTML {
        for column in columns {
            HTML.element("th", ["scope": "col", "class": column.kind.rawValue]) { column.title }
        }
    }

    private var blank: DashboardView.Row {
        DashboardView.Row(
            cells: Array(repeating: "", count: columns.count), level: .plain, share: 0)
    }

    private func line(_ row: DashboardView.Row) -> HTML {
        .element("tr", ["data-level": row.level.rawValue]) {
            for (column, text) in zip(columns, row.cells) {
                switch column.kind {
                case .name: HTML.element("th", ["scope": "row", "class": "name"]) { text }
                case .share: share(row.share, text)
                default: HTML.element("td", ["class": column.kind.rawValue]) { text }
                }
            }
        }
    }

    /// An SVG, as the policy of the page lets no style into its elements.
    private func share(_ share: Double, _ text: String) -> HTML {
        .element("td", ["class": "share"]) {
            HTML.element("svg", ["class": "bar", "aria-hidden": "true"]) {
                HTML.element("rect", ["height": "100%", "width": "\(share * 100)%"])
            }
            HTML.element("span") { text }
        }
    }
}
