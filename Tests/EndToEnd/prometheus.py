# SPDX-License-Identifier: Apache-2.0
"""A real Prometheus on the load balancer's node, with the rules that are shipped."""
import json
import re

from lab import ROOT, wait_until

RULES = ROOT / "deploy/prometheus/alerts.yml"
LISTEN = "127.0.0.1:9090"


class Prometheus:
    """Scrapes the daemon each second and evaluates the rules as often."""

    def __init__(self, lab):
        self.lab = lab
        folder = lab.dir / "prometheus"
        folder.mkdir()
        # As shipped, but for the patience that a pager needs and a test does not.
        (folder / "alerts.yml").write_text(re.sub(r"for: \w+", "for: 2s", RULES.read_text()))
        (folder / "prometheus.yml").write_text(json.dumps({
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": ["alerts.yml"],
            "scrape_configs": [{"job_name": "xdplb", "static_configs": [{"targets": ["127.0.0.1:9660"]}]}]}))
        self.log = open(folder / "log", "w")
        lab.spawn("lb", "prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
                  f"--web.listen-address={LISTEN}", stderr=self.log)
        wait_until(lambda: self.ask("query", query="1", check=False), "Prometheus answers", 60)

    def close(self):
        self.log.close()

    def ask(self, what, check=True, **parameters):
        """What its API answers; fails, or is None, when that is an error."""
        arguments = [item for key, value in parameters.items() for item in ("--data-urlencode", f"{key}={value}")]
        done = self.lab.run("lb", "curl", "-sS", "-G", f"http://{LISTEN}/api/v1/{what}", *arguments, check=False)
        answer = json.loads(done.stdout) if done.stdout.startswith("{") else {}
        if answer.get("status") == "success":
            return answer["data"]
        assert not check, f"{parameters}: {answer or done.stderr}"
        return None

    def query(self, expression):
        """Samples of an expression as (labels, value)."""
        result = self.ask("query", query=expression)["result"]
        return [(sample["metric"], float(sample["value"][1])) for sample in result]

    def value(self, expression):
        """The value of the only sample; None without one."""
        samples = self.query(expression)
        assert len(samples) < 2, samples
        return samples[0][1] if samples else None

    def firing(self):
        """Names of the alerts that fire, with the labels of each."""
        alerts = self.ask("alerts")["alerts"]
        return {alert["labels"]["alertname"]: alert["labels"] for alert in alerts if alert["state"] == "firing"}
