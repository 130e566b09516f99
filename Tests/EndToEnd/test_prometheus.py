# SPDX-License-Identifier: Apache-2.0
"""What is shipped for Prometheus and Grafana, at a real Prometheus that scrapes a real daemon."""
import json
import re
import subprocess
import unittest

from api import TCP, ApiLab
from lab import ROOT, wait_until
from prometheus import RULES, Prometheus
from test_metrics import ABSENT

DASHBOARD = ROOT / "deploy/grafana/xdplb.json"
# What a panel shows while nothing is wrong: no backend is draining or ill, no table differs.
QUIET = re.compile(r"(==|!=|>) ?\d+$")
POOL = "snat_pools: [{name: p1, addresses: [20.1.1.1], ports: 2000-2099}]"


class Shipped(unittest.TestCase):
    def check(self, *command, **options):
        done = subprocess.run(["promtool", *command], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)
        self.assertEqual(done.returncode, 0, done.stdout)
        return done.stdout

    def test_the_alert_rules_are_right_and_do_what_their_tests_say(self):
        self.assertIn("10 rules found", self.check("check", "rules", str(RULES)))
        self.assertIn("SUCCESS", self.check("test", "rules", "alerts_test.yml", cwd=RULES.parent))

    def test_the_dashboard_is_one_that_grafana_takes(self):
        dashboard = json.loads(DASHBOARD.read_text())
        self.assertEqual((dashboard["title"], dashboard["uid"]), ("xdplb", "xdplb"))
        variables = {variable["name"]: variable for variable in dashboard["templating"]["list"]}
        self.assertEqual(variables["datasource"]["type"], "datasource")
        panels = dashboard["panels"]
        self.assertEqual(len({panel["id"] for panel in panels}), len(panels))
        self.assertEqual([panel["title"] for panel in panels if panel["type"] == "row"],
                         ["Is it serving?", "Is it losing?", "Who is ill?", "Is it full?", "What changed?"])
        taken = set()
        for panel in panels:
            place = panel["gridPos"]
            cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
            self.assertLessEqual(place["x"] + place["w"], 24, panel["title"])
            self.assertFalse(cells & taken, f"{panel['title']} lies over another")
            taken |= cells
            if panel["type"] == "row":
                continue
            with self.subTest(panel["title"]):
                self.assertTrue(panel["description"] and panel["fieldConfig"]["defaults"]["unit"])
                self.assertEqual(panel["datasource"]["uid"], "${datasource}")
                for target in panel["targets"]:
                    self.assertEqual(target["datasource"]["uid"], "${datasource}")
                    for variable in re.findall(r"\$\{?(\w+)", target["expr"]):
                        self.assertIn(variable, [*variables, "__rate_interval"])


class Scraped(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = cls.enterClassContext(ApiLab())
        cls.lab.serve()
        cls.prometheus = Prometheus(cls.lab)
        cls.addClassCleanup(cls.prometheus.close)
        wait_until(lambda: cls.prometheus.value('up{job="xdplb"}') == 1, "the target is up", 30)

    def has(self, expression, value):
        return wait_until(lambda: self.prometheus.value(expression) == value, f"{expression} is {value}", 30)

    def test_the_target_is_scraped_without_error(self):
        targets = self.prometheus.ask("targets")["activeTargets"]
        self.assertEqual([(target["health"], target["lastError"]) for target in targets], [("up", "")])
        text = self.lab.run("lb", "curl", "-sS", "--fail", f"{TCP}/metrics").stdout
        checked = subprocess.run(["promtool", "check", "metrics"], input=text, text=True, stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT)
        self.assertEqual((checked.returncode, checked.stdout), (0, ""))
        samples = [line for line in text.splitlines() if not line.startswith("#")]
        self.has("scrape_samples_scraped", len(samples))

    def test_counters_under_traffic_are_those_of_the_api(self):
        connections = {"web": 600, "sink": 50}
        before = {name: self.lab.document(f"/api/v1/services/{name}")["service"]["new_connections"] for name in connections}
        self.lab.requests(connections["web"]).finish()
        self.lab.upload(connections["sink"])
        for name, count in connections.items():
            labels = f'{{service="{name}"}}'
            self.has(f"xdplb_service_connections_total{labels}", before[name] + count)
            # Late segments are still counted: both are looked at until they agree.
            wait_until(lambda: self.agrees(name), f"Prometheus and the API agree on {name}", 30)
        self.assertGreater(self.prometheus.value('xdplb_service_packets_total{service="sink",direction="out"}'), 50)

    def agrees(self, name):
        shown = self.lab.document(f"/api/v1/services/{name}")
        service = shown["service"]
        wanted = {f'xdplb_service_packets_total{{service="{name}",direction="in"}}': service["packets_in"],
                  f'xdplb_service_packets_total{{service="{name}",direction="out"}}': service["packets_out"],
                  f'xdplb_service_connections{{service="{name}"}}': service["connections"],
                  f'xdplb_service_eligible_backends{{service="{name}"}}': service["eligible"]}
        for backend in shown["backends"]:
            labels = f'{{service="{name}",backend="{backend["name"]}"}}'
            wanted[f"xdplb_backend_packets_total{labels}"] = backend["packets"]
            wanted[f"xdplb_backend_bytes_total{labels}"] = backend["bytes"]
            wanted[f"xdplb_backend_maglev_slots{labels}"] = backend["slots"]
        return all(self.prometheus.value(expression) == value for expression, value in wanted.items())

    def test_every_expression_of_the_dashboard_is_answered(self):
        """With data, but for what this version has no metrics of, and for lists of what is wrong."""
        self.lab.requests(100).finish()
        self.lab.upload(10)
        self.has('count_over_time(up{job="xdplb"}[5s]) >= bool 3', 1)
        dashboard = json.loads(DASHBOARD.read_text())
        expressions = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
        expressions += [annotation["expr"] for annotation in dashboard["annotations"]["list"]]
        self.assertGreater(len(expressions), 40)
        for expression in expressions:
            with self.subTest(expression):
                asked = expression.replace("$instance", ".*").replace("$service", ".*").replace("$__rate_interval", "1m")
                self.assertNotIn("$", asked)
                answer = self.prometheus.query(asked)
                if not QUIET.search(expression) and not any(name in expression and "or vector" not in expression for name in ABSENT):
                    self.assertTrue(answer, "no data")

    def test_names_in_rules_and_dashboard_are_those_of_metrics(self):
        known = set(self.prometheus.ask("label/__name__/values")) | ABSENT
        for file in (RULES, DASHBOARD):
            names = set(re.findall(r"\b(?:xdplb|process)_\w+", file.read_text()))
            self.assertFalse(names - known, file.name)


class Firing(unittest.TestCase):
    def test_alerts_fire_for_a_service_without_backend_and_a_pool_without_ports_and_end(self):
        lab = self.enterContext(ApiLab())
        lab.serve(pool=POOL)
        prometheus = Prometheus(lab)
        self.addCleanup(prometheus.close)
        wait_until(lambda: prometheus.value('up{job="xdplb"}') == 1, "the target is up", 30)
        self.assertEqual(prometheus.firing(), {})

        for backend in lab.document("/api/v1/services/web/backends")["backends"]:
            lab.command("backend", "disable", f"web/{backend['name']}")
        firing = wait_until(lambda: "XdplbServiceWithoutBackend" in prometheus.firing() and prometheus.firing(), "the alert fires", 30)
        self.assertEqual(firing["XdplbServiceWithoutBackend"]["service"], "web")
        self.assertEqual(firing["XdplbServiceWithoutBackend"]["severity"], "page")

        # All to one backend, which has the 100 ports of the pool.
        for backend in lab.document("/api/v1/services/sink/backends")["backends"][1:]:
            lab.command("backend", "disable", f"sink/{backend['name']}")
        lab.upload(95)
        firing = wait_until(lambda: "XdplbSnatPortsLow" in prometheus.firing() and prometheus.firing(), "the alert fires", 30)
        self.assertEqual(firing["XdplbSnatPortsLow"]["pool"], "p1")

        for backend in lab.document("/api/v1/services/web/backends")["backends"]:
            lab.command("backend", "undrain", f"web/{backend['name']}")
        wait_until(lambda: "XdplbServiceWithoutBackend" not in prometheus.firing(), "the alert ends", 30)


if __name__ == "__main__":
    unittest.main()
