// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import ControlPlane

/// What the dashboard says of documents.
@Suite struct DashboardWriterTests {
    private var fixture = DashboardFixture()

    @Test func `a load balancer that is well says so in every place`() {
        let page = fixture.page
        #expect(page.state.text == "serving" && page.state.level == .ok)
        #expect(page.attention.map(\.text) == ["All services and backends are well."])
        #expect(page.title == "lb1: serving")
        #expect(page.facts == "xdplb 1.0.0 · generation 7, applied 06:41:10 UTC · up 3d 4h")
        #expect(page.time == "06:50:10 UTC")
        #expect(page.tiles.allSatisfy { $0.level == .plain })
        #expect(page.drops.note == "No packet was dropped since the start.")
        #expect(
            page.tiles.map { "\($0.label): \($0.value) \($0.unit)" } == [
                "in: 4.82 M packets/s", "out: 4.82 M packets/s", "new connections: 52.0 k /s",
                "drops: 0 /s", "ring losses: 0 /s", "connection tables: 29.5 % full",
                "busiest worker: 71.0 % busy",
            ])
        #expect(page.tiles[0].detail == "5\u{202f}312\u{202f}221 in all")
        #expect(page.tiles[6].detail == "worker 1 on cpu 5")
    }

    @Test func `lines have a cell for each column, with the numbers in their units`() {
        let page = fixture.page
        #expect(
            page.services.rows.map(\.cells) == [
                [
                    "web", "2 of 2 eligible", "3.91 M", "14.8 G", "52.0 k", "1.10 M", "snat p1",
                    "203.0.113.10:80/tcp +1",
                ]
            ])
        #expect(
            page.backends.rows[0].cells == [
                "web/web-1", "eligible", "40.0 %", "255 k", "20.4 k", "100", "10.1.1.11", "2m 10s",
            ])
        #expect(page.backends.rows[0].share == 0.4)
        #expect(
            page.workers.rows[1].cells == [
                "1", "71.0 %", "1.20 M", "38.2", "8\u{202f}192", "1", "5",
            ])
        for (table, lines) in [
            (DashboardTable.services, page.services), (.backends, page.backends),
            (.workers, page.workers),
        ] {
            #expect(lines.rows.allSatisfy { $0.cells.count == table.columns.count }, "\(table.id)")
        }
    }

    @Test mutating func `a degraded service is still serving, and its ill backend is named`() {
        fixture.addService("dns", backends: 3, eligible: 2)
        let page = fixture.page
        #expect(page.state.text == "serving, 1 of 2 services degraded")
        #expect(page.state.level == .warning)
        #expect(
            page.attention.map(\.text) == [
                "dns/dns-3: no route for 2m 10s", "dns: 2 of 3 backends eligible",
            ])
        #expect(page.attention.map(\.level) == [.bad, .warning])
        #expect(page.services.rows[1].level == .warning)
        #expect(page.backends.rows.map(\.level) == [.ok, .ok, .ok, .ok, .bad])
    }

    @Test mutating func `what was done on purpose is unusual, not bad, and says by whom`() {
        fixture.backends[0].adminState = "draining"
        fixture.backends[0].eligible = false
        fixture.backends[0].reason = "draining"
        fixture.backends[0].changedBy = "alice"
        let page = fixture.page
        #expect(page.backends.rows[0].level == .warning)
        #expect(page.attention.map(\.text) == ["web/web-1: draining for 2m 10s by alice"])
    }

    @Test mutating func `a service that is down is bad, and with all of them down nothing serves`()
    {
        fixture.addService("dns", backends: 1, eligible: 0)
        fixture.status.problems = ["dns: no eligible backend (dns-1 no route)"]
        #expect(fixture.page.state.text == "serving, 1 of 2 services down")
        #expect(fixture.page.state.level == .bad)
        #expect(fixture.page.attention[0].text == "dns: no eligible backend (dns-1 no route)")
        #expect(fixture.page.services.rows[1].cells[1] == "0 of 1 eligible, down")
        fixture.status.ready = false
        #expect(fixture.page.state.text == "not serving: every service is down")
        fixture.status.services = []
        #expect(fixture.page.state.text == "not serving: there is no service")
        fixture.status.state = "stopping"
        #expect(fixture.page.state.text == "stopping")
    }

    @Test mutating func `drops and ring losses are said with their reasons, the total when over`() {
        fixture.drops = [
            .init(reason: "policy", perSecond: 12, total: 8211),
            .init(reason: "too_big", perSecond: 0, total: 44),
            .init(reason: "malformed", perSecond: 0, total: 0),
        ]
        fixture.status.interface.ringLosses = 9
        var page = fixture.page
        #expect(page.tiles[3].value == "12" && page.tiles[3].level == .warning)
        #expect(page.tiles[3].detail == "policy 12")
        #expect(page.tiles[4].level == .plain && page.tiles[4].detail == "9 in all")
        #expect(
            page.drops.rows.map(\.cells) == [
                [
                    "policy", "12", "8\u{202f}211",
                    "client outside the source ranges of the service",
                ],
                [
                    "too_big", "0", "44",
                    "over the MTU after the rewrite; an ICMP error was sent if one may be",
                ],
            ])
        fixture.drops[0].perSecond = 0
        fixture.status.interface.ringLossesPerSecond = 3
        page = fixture.page
        #expect(page.tiles[3].value == "0" && page.tiles[3].detail == "8\u{202f}255 in all")
        #expect(page.tiles[4].value == "3" && page.tiles[4].level == .bad)
    }

    @Test mutating func `a worker that is behind, and a table that fills up, are noticed`() {
        fixture.status.workers[1].generation = 6
        fixture.status.connections.used = 4_000_000
        let page = fixture.page
        #expect(page.attention.map(\.text) == ["worker 1 runs generation 6"])
        #expect(page.tiles[5].level == .bad)
    }

    @Test mutating func `events have their level, and only the latest are kept`() {
        fixture.events = (0..<30).map {
            EventDocument(
                time: "2026-11-23T06:44:02Z", level: $0 == 0 ? "warning" : "info",
                event: "backend_health", text: "number \($0)")
        }
        let rows = fixture.page.events.rows
        #expect(rows.count == DashboardWriter.shownEvents)
        #expect(rows[0].cells == ["06:44:02 UTC", "number 0"] && rows[0].level == .warning)
        #expect(rows[1].level == .plain)
    }

    @Test mutating func `of too many backends the ill ones are shown, and the others counted`() {
        fixture.addService("many", backends: 200, eligible: 199)
        let document = fixture.document
        #expect(document.backends.count == DashboardWriter.shownBackends)
        #expect(document.backends[0].name == "many-200")
        #expect(document.page.backends.rows.count == DashboardWriter.shownBackends)
        #expect(document.page.backends.note == "152 more: xdplb backend list")
    }
}
