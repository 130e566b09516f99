# SPDX-License-Identifier: Apache-2.0
"""The admin API against its own description: schemathesis makes requests of all kinds, right and wrong."""
import json
import unittest

from api import TCP, ApiLab
from lab import ROOT, WEB, backends, wait_until

SCHEMATHESIS = ROOT / ".build/api-tests/bin/schemathesis"
CONFIGURATION = ROOT / "Tests/EndToEnd/schemathesis.toml"
BRIDGE_PORT = 9661
SECONDS = 45
# What is there, or may be made, so that requests come far.
NAMES = {
    "service": ["web", "sink", "40.1.1.1:80/tcp", "40.1.1.1:8080/tcp", "40.1.1.1:8081/udp"],
    "backend": ["20.1.1.10", "20.1.1.20", "20.1.1.20:80"],
}


class Fuzzed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not SCHEMATHESIS.exists():
            raise AssertionError(f"{SCHEMATHESIS} is missing: scripts/setup installs it")
        cls.lab = cls.enterClassContext(ApiLab())
        cls.lab.serve()

    def fuzz(self, url, *more):
        """Runs all checks, as far as schemathesis.toml lets them say something true."""
        document = self.lab.dir / "openapi.json"
        document.write_text(json.dumps(self.described()))
        result = self.lab.run(
            "lb", str(SCHEMATHESIS), "--config-file", str(CONFIGURATION), "run", str(document), "--url", url,
            "--max-time", str(SECONDS), "--request-timeout", "20", "--continue-on-failure", "--no-color",
            "--report-dir", str(self.lab.dir / "report"), "--suppress-health-check", "all", *more, check=False,
            cwd=self.lab.dir)
        self.assertEqual(result.returncode, 0, result.stdout[-20000:] + result.stderr[-4000:])
        self.assertIsNone(self.lab.daemon.poll(), "the daemon ended")

    def described(self):
        """The API's own description; names in paths are mostly those of what is there."""
        description = self.lab.document("/api/v1/openapi.json")
        # Answers that go on until the client leaves or a time is over: test_events and test_capture_readers ask for them.
        del description["paths"]["/api/v1/events"]
        del description["paths"]["/api/v1/capture"]
        for methods in description["paths"].values():
            for parameter in (p for operation in methods.values() for p in operation.get("parameters", [])):
                if parameter["in"] == "path":
                    parameter["schema"] = {"anyOf": [{"enum": NAMES[parameter["name"]]}, parameter["schema"]]}
        return description

    def test_the_admin_socket_answers_every_request_as_described(self):
        self.lab.bridge(BRIDGE_PORT)
        wait_until(lambda: f":{BRIDGE_PORT} " in self.lab.run("lb", "ss", "-Hltn").stdout, "the bridge listens")
        self.fuzz(f"http://127.0.0.1:{BRIDGE_PORT}")
        # Whatever was left of the services: they can be given anew, and are served.
        for service in self.lab.json("service", "list")["services"]:
            self.lab.command("service", "delete", service["name"])
        self.lab.command("service", "update", "--vip", WEB, "--backends", backends(80), "--mode", "snat")
        self.lab.requests(100).finish()

    def test_tcp_answers_every_request_as_described_and_changes_nothing(self):
        before = self.lab.status()["generation"], self.lab.json("service", "list")["services"]
        # Of a path that only the socket serves, TCP says that it is not there, or what it takes of all: GET, HEAD.
        self.fuzz(TCP, "--exclude-checks", "unsupported_method,allow_header_conformance")
        after = self.lab.status()["generation"], self.lab.json("service", "list")["services"]
        self.assertEqual(before[0], after[0])
        self.assertEqual([(s["name"], s["keys"], s["mode"], s["backends"]) for s in before[1]],
                         [(s["name"], s["keys"], s["mode"], s["backends"]) for s in after[1]])


if __name__ == "__main__":
    unittest.main()
