// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import ControlPlane

/// The dashboard as it is sent.
@Suite struct DashboardPageTests {
    private var fixture = DashboardFixture()

    private static let hostile = #"<img src=x onerror="alert('1')">&amp;"#
    private static let harmless =
        "&lt;img src=x onerror=&quot;alert(&#39;1&#39;)&quot;&gt;&amp;amp;"

    @Test func `a text is shown as it is, whatever is in it`() {
        #expect(HTML.text(Self.hostile).markup == Self.harmless)
        let element = HTML.element("p", ["title": Self.hostile]) { Self.hostile }
        #expect(element.markup == "<p title=\"\(Self.harmless)\">\(Self.harmless)</p>")
    }

    @Test mutating func `no text of a document becomes markup, wherever it is shown`() {
        let hostile = Self.hostile
        fixture.status.node = hostile
        fixture.status.version = hostile
        fixture.status.problems = [hostile]
        fixture.status.interface.name = hostile
        fixture.status.appliedAt = hostile
        fixture.services[0].name = hostile
        fixture.services[0].keys = [hostile]
        fixture.services[0].mode = hostile
        fixture.backends[0].name = hostile
        fixture.backends[0].address = hostile
        fixture.backends[1].eligible = false
        fixture.backends[1].reason = hostile
        fixture.backends[1].changedBy = hostile
        fixture.drops = [.init(reason: hostile, perSecond: 1, total: 1)]
        fixture.events = [
            EventDocument(time: hostile, level: hostile, event: hostile, text: hostile)
        ]
        let html = fixture.html
        #expect(!html.contains("<img"))
        #expect(html.components(separatedBy: Self.harmless).count > 15)
    }

    @Test func `every word of the view is on the page`() {
        let page = fixture.page
        let html = fixture.html
        let tables = [page.services, page.backends, page.drops, page.workers, page.events]
        let words =
            [page.title, page.node, page.state.text, page.facts, page.time, page.setup]
            + page.tiles.flatMap { [$0.label, $0.value, $0.unit, $0.detail] }
            + page.attention.map(\.text)
            + tables.flatMap { $0.rows.flatMap(\.cells) + [$0.note] }
        for word in words where !word.isEmpty {
            #expect(html.contains(HTML.text(word).markup), "\(word)")
        }
    }

    @Test func `tables have captions, and headers that say of what`() {
        let html = fixture.html
        for title in ["Services", "Backends", "Drops by reason", "Workers", "Events"] {
            #expect(html.contains("<caption>\(title)</caption>"))
        }
        #expect(html.contains(#"<th scope="col" class="name">backend</th>"#))
        #expect(html.contains(#"<th scope="row" class="name">web/web-1</th>"#))
        #expect(html.contains(#"<p id="state" role="status" data-level="ok">serving</p>"#))
    }

    @Test func `nothing of another origin, and no script or style within the page`() {
        let html = fixture.html
        #expect(!html.contains("//"))
        #expect(!html.contains("style="))
        #expect(!html.contains("<style"))
        #expect(html.components(separatedBy: "<script").count == 2)
        #expect(html.contains(#"<script src="dashboard.js" defer=""></script>"#))
        for text in [DashboardStyle.css, DashboardScript.javascript] {
            #expect(!text.contains("http") && !text.contains("innerHTML"))
        }
    }

    @Test mutating func `with as much as it shows the page is under 60 kB`() {
        let name = String(repeating: "a-long-name", count: 5)
        for index in 0..<100 {
            fixture.addService("\(name)\(index)", backends: 10, eligible: 9)
        }
        fixture.drops = (0..<17).map { _ in
            .init(reason: "connection_table_full", perSecond: 1e6, total: 1 << 50)
        }
        fixture.events = (0..<100).map { _ in
            EventDocument(
                time: "2026-11-23T06:44:02Z", level: "warning", event: "backend_health",
                text: "\(name)/\(name) unhealthy: timeout 3/3")
        }
        let size =
            fixture.html.utf8.count + DashboardStyle.css.utf8.count
            + DashboardScript.javascript.utf8.count
        #expect(size < 60_000)
    }

    @Test func `a document is one line, as an event must be`() throws {
        let line = try AdminJSON.encodeLine(fixture.document)
        #expect(!line.contains(UInt8(ascii: "\n")))
        let again = try AdminJSON.decode(DashboardDocument.self, from: line)
        #expect(again.schema == "xdplb.dashboard/1" && again.page.title == fixture.page.title)
    }
}
