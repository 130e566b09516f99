# SPDX-License-Identifier: Apache-2.0
"""The dashboard in a real browser: it shows the numbers of the API, and lets nothing else in."""
import json
import os
import pathlib
import re
import unittest

from browser import Browser
from lab import Lab, wait_until

ORIGIN = "http://127.0.0.1:9660"
TABLES = ("services", "backends", "drops", "workers", "events")
# 20.1.1.100 may not ask `closed`, and nobody is where `lost-1` should be.
CONFIGURATION = """
version: 1
node: {name: lb1}
interfaces: [{name: eth0}]
services:
  - {name: web, vips: [40.1.1.1], ports: [80/tcp], mode: snat, backends: [
      {name: web-1, address: 20.1.1.10}, {name: web-2, address: 20.1.1.20},
      {name: web-3, address: 20.1.1.30}, {name: web-4, address: 20.1.1.40}]}
  - {name: closed, vips: [40.1.1.1], ports: [81/tcp], mode: snat, source_ranges: [10.0.0.0/8],
     backends: [{name: closed-1, address: "20.1.1.10:80"}, {name: lost-1, address: "10.99.0.9:80"}]}
"""
# What is in the page, as the documents have it: words of tiles, and rows of cells.
SHOWN = """(() => {
    const words = (selector, root = document) => [...root.querySelectorAll(selector)].map(n => n.textContent);
    const rows = name => [...document.querySelectorAll(`#${name} tbody tr`)].map(row => words("th, td", row));
    return {
        state: document.querySelector("#state").textContent, live: document.querySelector("#live").textContent,
        tiles: words(".value b"), details: words(".detail"), attention: words("#attention li"),
        %s
    };
})()""" % ", ".join(f"{name}: rows('{name}')" for name in TABLES)
# One event of the page's own stream and what the page made of it.
FOLLOWED = """new Promise(resolve => {
    const stream = new EventSource("api/v1/events");
    stream.addEventListener("status", event => {
        stream.close();
        const news = JSON.parse(event.data);
        const wait = () => document.querySelector("#live").textContent.endsWith(news.page.time)
            ? resolve([news, %s]) : requestAnimationFrame(wait);
        wait();
    });
})""" % SHOWN


def rounded(value):
    """A number as the page has it, by another program than the one that made the page."""
    for unit, factor in (("", 1), (" k", 1e3), (" M", 1e6), (" G", 1e9)):
        if value < 999.5 * factor or unit == " G":
            break
    if not unit:
        return f"{value:.0f}"
    scaled = value / factor
    return f"{scaled:.{2 if scaled < 9.995 else 1 if scaled < 99.95 else 0}f}{unit}"


def grouped(count):
    return f"{count:,}".replace(",", "\u202f")


class DashboardTest(unittest.TestCase):
    """Tests that look and leave all as it was share a load balancer."""

    @classmethod
    def setUpClass(cls):
        cls.lab = cls.enterClassContext(Lab(queues=2))
        cls.launch()
        cls.browser = cls.enterClassContext(Browser(cls.lab, "lb"))

    @classmethod
    def launch(cls, configuration=CONFIGURATION):
        path = cls.lab.dir / "xdplb.yaml"
        path.write_text(configuration)
        cls.lab.launch("--config", str(path))
        wait_until(lambda: cls.lab.status()["ready"], "the daemon is ready")

    def curl(self, *arguments):
        return self.lab.run("lb", "curl", "-sS", *arguments).stdout

    def get(self, path):
        return json.loads(self.curl("--fail", f"{ORIGIN}{path}"))

    def status_of(self, path, *arguments):
        return self.curl("-o", "/dev/null", "-w", "%{http_code}", *arguments, f"{ORIGIN}{path}")

    def assert_behaved(self):
        """Nothing went wrong in the page, and it asked nobody else."""
        self.assertEqual(self.browser.errors, [])
        self.assertGreater(len(self.browser.urls), 2)
        self.assertEqual(self.browser.other_origins(ORIGIN), [])

    def send_traffic(self):
        """Packets of all kinds, and then silence."""
        self.lab.run("client", "curl", "-s", "-m", "1", "http://40.1.1.1:81/", check=False)
        self.lab.requests(200).finish()

    def assert_shows(self, shown, status, services, backends, drops):
        """The numbers of the API are in the page."""
        interface, connections = status["interface"], status["connections"]
        self.assertEqual(shown["tiles"][:3], [rounded(interface["rx_packets_per_second"]),
                                              rounded(interface["tx_packets_per_second"]),
                                              rounded(sum(s["new_per_second"] for s in services))])
        self.assertEqual(shown["details"][:3], [f"{grouped(interface['rx_packets'])} in all",
                                                f"{grouped(interface['tx_packets'])} in all",
                                                f"{grouped(connections['used'])} tracked"])
        self.assertEqual(shown["details"][5], f"{grouped(connections['used'])} of {grouped(connections['capacity'])}")
        self.assertEqual([row[0] for row in shown["services"]], [s["name"] for s in services])
        for row, service in zip(shown["services"], services):
            self.assertIn(f"{service['eligible']} of {service['backends']} eligible", row[1])
            members = ("packets_per_second", "bits_per_second", "new_per_second", "connections")
            self.assertEqual(row[2:6], [rounded(service[member]) for member in members])
        self.assertEqual([row[0] for row in shown["backends"]], [f"{b['service']}/{b['name']}" for b in backends])
        for row, backend in zip(shown["backends"], backends):
            self.assertEqual(row[1], "eligible" if backend["eligible"] else backend["reason"])
            self.assertEqual(row[2:6], [f"{backend['share'] * 100:.1f} %", rounded(backend["packets_per_second"]),
                                        rounded(backend["connections"]), str(backend["weight"])])
        counted = sorted((d for d in drops if d["total"]), key=lambda d: -d["total"])
        self.assertEqual([row[:3] for row in shown["drops"]],
                         [[d["reason"], rounded(d["per_second"]), grouped(d["total"])] for d in counted])
        self.assertEqual([row[1:3] for row in shown["workers"]],
                         [[f"{w['busy_share'] * 100:.1f} %", rounded(w["rx_packets_per_second"])]
                          for w in status["workers"]])


class Shown(DashboardTest):
    def test_under_load_it_shows_the_numbers_of_each_event(self):
        self.browser.open(f"{ORIGIN}/")
        burst = self.lab.requests(20000)

        def agrees():
            news, shown = self.browser.script(FOLLOWED)
            self.assertEqual(news["schema"], "xdplb.dashboard/1")
            if news["status"]["interface"]["rx_packets_per_second"] < 100:
                return False
            try:
                self.assert_shows(shown, news["status"], news["services"], news["backends"], news["drops"])
            except AssertionError:
                return False  # of two events within one second the page may have had the other one
            return True
        for _ in range(3):
            wait_until(agrees, "the page shows an event of a busy second", 20)
        burst.finish()
        self.assert_behaved()

    def test_when_the_traffic_has_stopped_it_shows_the_counters_of_the_api(self):
        self.browser.open(f"{ORIGIN}/")
        self.send_traffic()

        def agrees():
            status, services, backends, drops = map(self.get, (
                "/api/v1/status", "/api/v1/services", "/api/v1/backends", "/api/v1/drops"))
            shown = self.browser.script(SHOWN)
            try:
                self.assert_shows(shown, status, services["services"], backends["backends"], drops["drops"])
            except AssertionError:
                return None
            return shown
        shown = wait_until(agrees, "the page agrees with the API", 30)
        self.assertEqual(shown["state"], "serving, 1 of 2 services degraded")
        self.assertIn("closed/lost-1: no route by eth0", shown["attention"][0])
        self.assertIn("policy", [row[0] for row in shown["drops"]])
        self.assert_behaved()

    def test_without_scripts_it_is_complete_and_comes_again_by_itself(self):
        self.send_traffic()
        self.browser.allow_scripts(False)
        self.addCleanup(self.browser.allow_scripts, True)
        self.browser.open(f"{ORIGIN}/")
        loads = self.browser.loads
        wait_until(lambda: self.browser.loads > loads, "the page is loaded again", 15)

        def agrees():
            words = " ".join(self.browser.text("body").split())
            status, services = self.get("/api/v1/status"), self.get("/api/v1/services")["services"]
            expected = [f"{grouped(status['interface']['rx_packets'])} in all".replace("\u202f", " "),
                        "web 4 of 4 eligible 0 0 0 " + rounded(services[0]["connections"]),
                        f"generation {status['generation']}", "policy"]
            return all(text in words for text in expected)
        wait_until(agrees, "the page agrees with the API", 30)
        self.assertFalse(self.browser.script("!document.querySelector('#history').hidden"))
        self.assertFalse([url for url in self.browser.urls if url.endswith("/events")])
        self.assert_behaved()

    def test_a_change_is_shown_within_seconds(self):
        self.browser.open(f"{ORIGIN}/")
        self.addCleanup(self.lab.command, "backend", "undrain", "web/web-3")
        self.lab.command("backend", "drain", "web/web-3")
        wait_until(lambda: any("web/web-3: draining" in text for text in self.browser.script(SHOWN)["attention"]),
                   "the drained backend is shown", 5)
        row = self.browser.script("""(row => [row.dataset.level, getComputedStyle(row.cells[1]).color])(
            [...document.querySelectorAll("#backends tbody tr")].find(row => row.cells[0].textContent == "web/web-3"))""")
        self.assertEqual(row[0], "warning")
        self.assert_behaved()

    def test_when_the_daemon_is_gone_it_does_not_go_on_saying_that_it_serves(self):
        self.browser.open(f"{ORIGIN}/")
        wait_until(lambda: self.browser.script(SHOWN)["live"].startswith("live"), "it is live")
        self.assertEqual(self.lab.stop(), 0)
        wait_until(lambda: "not known" in self.browser.script(SHOWN)["state"], "it says so", 15)
        self.assertEqual(self.browser.script(SHOWN)["live"], "not live")
        type(self).launch()
        wait_until(lambda: self.browser.script(SHOWN)["state"].startswith("serving"), "it is live again", 20)


class Look(DashboardTest):
    """How it looks; XDPLB_SCREENSHOTS is a folder for pictures."""

    SIZES = ((360, 640), (820, 1180), (1280, 800), (1440, 900), (1920, 1080))

    def test_no_width_needs_to_be_scrolled_sideways_in_light_or_dark(self):
        self.send_traffic()
        self.browser.open(f"{ORIGIN}/")
        wait_until(lambda: not self.browser.script("document.querySelector('#history').hidden"), "the history is shown")
        for width, height in self.SIZES:
            for scheme in ("light", "dark"):
                self.browser.look(width, height, scheme)
                scrolled, inner = self.browser.script("[document.documentElement.scrollWidth, innerWidth]")
                self.assertLessEqual(scrolled, inner, f"{width} {scheme}")
                self.assertEqual(inner, width)
                if folder := os.environ.get("XDPLB_SCREENSHOTS"):
                    self.browser.screenshot(pathlib.Path(folder) / f"{width}-{scheme}.png")
        self.assert_behaved()

    def test_every_text_can_be_read_in_light_and_dark(self):
        """WCAG 2.1, 1.4.3: a contrast of at least 4.5."""
        self.browser.open(f"{ORIGIN}/")
        script = (pathlib.Path(__file__).parent / "contrast.js").read_text()
        for scheme in ("light", "dark"):
            self.browser.look(1440, 900, scheme)
            texts = self.browser.script(script)
            self.assertGreater(len(texts), 50)
            self.assertEqual([text for text in texts if text["contrast"] < 4.5], [], scheme)

    def test_a_screen_reader_is_told_of_tables_and_of_the_state(self):
        self.browser.open(f"{ORIGIN}/")
        self.browser.look(360, 640, "light")
        nodes = [(node.get("role", {}).get("value"), node.get("name", {}).get("value"))
                 for node in self.browser.call("Accessibility.getFullAXTree")["nodes"] if not node["ignored"]]
        roles = [role for role, _ in nodes]
        for role, name in (("table", "Services"), ("table", "Backends"), ("columnheader", "packets/s"),
                           ("rowheader", "web/web-1"), ("region", "Backends"), ("heading", "xdplb lb1")):
            self.assertIn((role, name), nodes)
        self.assertIn("status", roles)
        self.assertNotIn("▲", "".join(name or "" for role, name in nodes if role == "cell"))


class Guarded(DashboardTest):
    """What is served, to whom."""

    def test_the_page_and_its_parts_are_small_typed_and_guarded(self):
        size = 0
        for path, kind in (("/", "text/html"), ("/dashboard.css", "text/css"), ("/dashboard.js", "text/javascript"),
                           ("/dashboard.svg", "image/svg+xml")):
            head, body = self.curl("-i", f"{ORIGIN}{path}").split("\n\n", 1)
            head = head.lower()
            size += len(body.encode())
            self.assertRegex(head, f"content-type: {re.escape(kind)}")
            policy = re.search("content-security-policy: (.*)", head).group(1)
            self.assertIn("default-src 'none'", policy)
            self.assertNotIn("unsafe", policy)
            for line in ("x-content-type-options: nosniff", "x-frame-options: deny", "referrer-policy: no-referrer"):
                self.assertIn(line, head)
        self.assertLess(size, 60_000)

    def test_a_host_that_is_not_ours_is_refused_with_what_to_do(self):
        for host in ("evil.example", "evil.example:9660", "127.0.0.1.evil.example", "lb1.evil.example", "localhost.evil"):
            for path in ("/", "/dashboard.js", "/api/v1/status", "/api/v1/events"):
                self.assertEqual(self.status_of(path, "-H", f"Host: {host}"), "421", f"{host} {path}")
        refusal = json.loads(self.curl("-H", "Host: evil.example", f"{ORIGIN}/"))["error"]
        self.assertEqual(refusal["code"], "host")
        self.assertIn("node: {name: …}", refusal["message"])
        for host in ("127.0.0.1:9660", "localhost", "LB1", "lb1:9660", "[::1]:9660", "192.0.2.1"):
            self.assertEqual(self.status_of("/", "-H", f"Host: {host}"), "200", host)
        for path in ("/metrics", "/healthz", "/readyz"):
            self.assertEqual(self.status_of(path, "-H", "Host: lb1.internal.example"), "200", path)

    def test_the_socket_has_the_page_and_the_events_too(self):
        page = self.curl("--fail", "--unix-socket", self.lab.socket, "http://any/")
        self.assertIn("<title>lb1: serving", page)
        events = self.lab.run("lb", "curl", "-sN", "-m", "3", "--unix-socket", self.lab.socket,
                              "http://any/api/v1/events", check=False).stdout
        self.assertTrue(events.startswith("retry: 2000\n\nevent: status\ndata: {"))
        self.assertGreaterEqual(events.count("event: status"), 2)

    def test_nothing_can_be_changed_through_it(self):
        for path in ("/", "/dashboard.js", "/api/v1/events"):
            self.assertEqual(self.status_of(path, "-X", "POST"), "405")
        self.assertEqual(self.status_of("/api/v1/events", "-I"), "200")


class SwitchedOff(DashboardTest):
    @classmethod
    def launch(cls):
        super().launch(CONFIGURATION + "http: {dashboard: false}\n")

    def test_without_a_dashboard_there_is_no_page_but_the_api(self):
        for path in ("/", "/dashboard.css", "/dashboard.js", "/dashboard.svg"):
            self.assertEqual(self.status_of(path), "404")
            self.assertEqual(self.status_of(path, "--unix-socket", self.lab.socket), "404")
        self.assertEqual(self.status_of("/api/v1/status"), "200")


if __name__ == "__main__":
    unittest.main()
