// SPDX-License-Identifier: Apache-2.0

/// Keeps the dashboard up to date.
///
/// It puts words where the server has put words before, and formats none; only text and lengths
/// are set, never HTML.
enum DashboardScript {
    static let javascript = #"""
        "use strict";
        const patience = 5000;   // without news for so long, the page is not live
        const later = 10000;     // until a refused stream is asked for again
        const remembered = 60;   // documents in the chart

        const one = (selector, root = document) => root.querySelector(selector);

        // What is the same is left alone: it may be selected, or being read aloud.
        function put(node, text) {
            if (node.textContent !== text) node.textContent = text;
        }
        function rate(node, level) {
            if (node.dataset.level !== level) node.dataset.level = level;
        }
        function fit(list, count, make) {
            while (list.children.length > count) list.lastElementChild.remove();
            while (list.children.length < count) list.append(make());
            return list.children;
        }

        function showTiles(tiles) {
            const nodes = one("#tiles").children;
            tiles.forEach((tile, index) => {
                const node = nodes[index];
                rate(node, tile.level);
                put(one("dt", node), tile.label);
                put(one(".value b", node), tile.value);
                put(one(".value span", node), tile.unit);
                put(one(".detail", node), tile.detail);
            });
        }

        function showAttention(phrases) {
            const make = () => document.createElement("li");
            const nodes = fit(one("#attention ul"), phrases.length, make);
            phrases.forEach((phrase, index) => {
                rate(nodes[index], phrase.level);
                put(nodes[index], phrase.text);
            });
        }

        function showTable(name, table) {
            const card = one("#" + name);
            const make = () => one("template", card).content.firstElementChild.cloneNode(true);
            const lines = fit(one("tbody", card), table.rows.length, make);
            table.rows.forEach((row, index) => {
                const line = lines[index];
                rate(line, row.level);
                row.cells.forEach((text, column) => {
                    const cell = line.cells[column];
                    put(one("span", cell) ?? cell, text);
                });
                one("rect", line)?.setAttribute("width", row.share * 100 + "%");
            });
            put(one(".note", card), table.note);
        }

        const past = [];
        function remember(status, tiles) {
            past.push({
                in: status.interface.rx_packets_per_second, inText: tiles[0].value,
                out: status.interface.tx_packets_per_second, outText: tiles[1].value,
            });
            if (past.length > remembered) past.shift();
            if (past.length < 2) return;
            const card = one("#history");
            const highest = Math.max(1, ...past.map(p => Math.max(p.in, p.out)));
            for (const direction of ["in", "out"]) {
                const points = past.map((p, index) => {
                    const x = 600 - (past.length - 1 - index) * 600 / (remembered - 1);
                    return x.toFixed(1) + " " + (98 - p[direction] / highest * 96).toFixed(1);
                });
                one("." + direction, card).setAttribute("d", "M" + points.join("L"));
            }
            const top = past.reduce((best, p) => {
                const text = p.in < p.out ? p.outText : p.inText;
                const value = Math.max(p.in, p.out);
                return value > best.value ? { value, text } : best;
            }, { value: -1, text: "" });
            put(one(".note", card), "in solid, out dotted; highest " + top.text);
            card.hidden = false;
        }

        let last = null;
        let heard = Date.now();
        function show(news) {
            const page = news.page;
            heard = Date.now();
            last = page.time;
            document.title = page.title;
            put(one("h1 span"), page.node);
            rate(one("#state"), page.state.level);
            put(one("#state"), page.state.text);
            put(one("#facts"), page.facts);
            put(one("#live"), "live, " + page.time);
            put(one("#setup"), page.setup);
            showTiles(page.tiles);
            showAttention(page.attention);
            for (const name of ["services", "backends", "drops", "workers", "events"]) {
                showTable(name, page[name]);
            }
            remember(news.status, page.tiles);
        }

        // Old numbers are not to be taken for new ones.
        function doubt() {
            if (Date.now() - heard < patience) return;
            const since = last === null ? "" : " since " + last;
            rate(one("#state"), "warning");
            put(one("#state"), "not known: no news" + since);
            put(one("#live"), "not live");
            document.title = one("h1 span").textContent + ": no news";
        }

        function listen() {
            const stream = new EventSource("api/v1/events");
            stream.addEventListener("status", event => show(JSON.parse(event.data)));
            stream.addEventListener("error", () => {
                // A lost connection is made again by the browser, a refused one is not.
                if (stream.readyState === EventSource.CLOSED) setTimeout(listen, later);
            });
        }

        listen();
        setInterval(doubt, 1000);
        """#
}
