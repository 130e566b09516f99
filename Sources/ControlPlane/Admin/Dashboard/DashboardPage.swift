// SPDX-License-Identifier: Apache-2.0

/// The dashboard as HTML, complete without its script.
///
/// In the order of the questions of somebody who was woken up: is it serving, is it losing, is it
/// full, who is ill; then the tables, and what changed.
struct DashboardPage: Sendable {
    let view: DashboardView

    /// The whole page.
    var html: HTML {
        .document {
            head
            HTML.element("body") {
                header
                HTML.element("main") {
                    tiles
                    attention
                    HTML.element("div", ["class": "column"]) {
                        DashboardTable.services.card(view.services)
                        DashboardTable.backends.card(view.backends)
                        DashboardTable.drops.card(view.drops)
                    }
                    HTML.element("div", ["class": "column"]) {
                        history
                        DashboardTable.workers.card(view.workers)
                        DashboardTable.events.card(view.events)
                    }
                }
                footer
            }
        }
    }

    // Addresses are relative, so that the page may be behind a proxy with a path of its own.
    private var head: HTML {
        .element("head") {
            HTML.void("meta", ["charset": "utf-8"])
            HTML.element("title") { view.title }
            HTML.void(
                "meta", ["name": "viewport", "content": "width=device-width, initial-scale=1"])
            HTML.void("meta", ["name": "color-scheme", "content": "light dark"])
            HTML.void("link", ["rel": "icon", "href": "dashboard.svg", "type": "image/svg+xml"])
            HTML.void("link", ["rel": "stylesheet", "href": "dashboard.css"])
            HTML.element("noscript") {
                HTML.void("meta", ["http-equiv": "refresh", "content": "5"])
            }
            HTML.element("script", ["src": "dashboard.js", "defer": ""])
        }
    }

    private var header: HTML {
        .element("header") {
            HTML.element("h1") {
                "xdplb "
                HTML.element("span") { view.node }
            }
            HTML.element(
                "p", ["id": "state", "role": "status", "data-level": view.state.level.rawValue]
            ) { view.state.text }
            HTML.element("p", ["id": "facts"]) { view.facts }
            HTML.element("p", ["id": "live"]) { "as of \(view.time)" }
        }
    }

    private var tiles: HTML {
        .element("dl", ["id": "tiles"]) {
            for tile in view.tiles {
                HTML.element("div", ["class": "card", "data-level": tile.level.rawValue]) {
                    HTML.element("dt") { tile.label }
                    HTML.element("dd", ["class": "value"]) {
                        HTML.element("b") { tile.value }
                        " "
                        HTML.element("span") { tile.unit }
                    }
                    HTML.element("dd", ["class": "detail"]) { tile.detail }
                }
            }
        }
    }

    private var attention: HTML {
        .element("section", ["class": "card", "id": "attention", "aria-label": "Who is ill"]) {
            HTML.element("ul") {
                for ill in view.attention {
                    HTML.element("li", ["data-level": ill.level.rawValue]) { ill.text }
                }
            }
        }
    }

    /// Drawn by the script, which alone knows the past.
    private var history: HTML {
        .element("section", ["class": "card", "id": "history", "hidden": ""]) {
            HTML.element("h2") { "Packets per second, last minute" }
            HTML.element(
                "svg",
                ["viewBox": "0 0 600 100", "preserveAspectRatio": "none", "aria-hidden": "true"]
            ) {
                HTML.element("path", ["class": "in"])
                HTML.element("path", ["class": "out"])
            }
            HTML.element("p", ["class": "note"])
        }
    }

    private var footer: HTML {
        .element("footer") {
            HTML.element("p", ["id": "setup"]) { view.setup }
            HTML.element("nav", ["aria-label": "The same for programs"]) {
                for (path, title) in [
                    ("metrics", "metrics"), ("api/v1/status", "status"),
                    ("api/v1/services", "services"), ("api/v1/backends", "backends"),
                    ("api/v1/drops", "drops"),
                ] {
                    HTML.element("a", ["href": path]) { title }
                    " "
                }
            }
        }
    }
}
