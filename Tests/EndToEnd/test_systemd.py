# SPDX-License-Identifier: Apache-2.0
"""What systemd sees and does: notifications, the watchdog, the journal, a user with four capabilities."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
import unittest

import lab as labs
from lab import ROOT, VIP, WEB, XDPLB, Lab, backends, wait_until
from threads import stopped, threads

CAPABILITIES = {"net_raw": 13, "net_admin": 12, "ipc_lock": 14, "bpf": 39}
NOBODY = 65534


class Receiver:
    """A socket on the load balancer's node that datagrams are sent to."""

    def __init__(self, lab, name):
        self.path = lab.dir / f"datagrams-{time.monotonic_ns()}"
        with open(self.path, "w") as out:
            self.process = lab.spawn("lb", sys.executable, str(ROOT / "Tests/EndToEnd/datagrams.py"), name, stdout=out)
        wait_until(lambda: self.path.read_text().startswith("listening\n"), f"somebody listens at {name}")

    def all(self):
        """Datagrams so far: when each came, and its text."""
        lines = self.path.read_text().split("\n")[1:-1]
        return [(datagram["at"], datagram["text"]) for datagram in map(json.loads, lines)]

    def texts(self):
        return [text for _, text in self.all()]

    def statuses(self):
        return [text.removeprefix("STATUS=") for text in self.texts() if text.startswith("STATUS=")]

    def fed(self):
        """When the watchdog was fed."""
        return [at for at, text in self.all() if text == "WATCHDOG=1"]


class Notifications(unittest.TestCase):
    def setUp(self):
        self.lab = self.enterContext(Lab())

    def listen(self, name=None, **environment):
        """Stands in for systemd; the daemon is started as if by it."""
        name = name or str(self.lab.dir / "notify")
        words = [f"{key}={value}" for key, value in environment.items()]
        self.lab.wrapper = ["env", f"NOTIFY_SOCKET={name}", *words]
        return Receiver(self.lab, name)

    def test_ready_is_said_once_it_serves_and_stopping_before_it_stops(self):
        lab = self.lab
        systemd = self.listen()
        lab.wrapper.append(XDPLB)
        # Not lab.start, which would wait for the API: READY alone must be enough.
        daemon = lab.spawn("lb", *lab.wrapper, "run", "--interface", "eth0", "--mode", "snat", "--service",
                           f"{WEB}={backends(80)}", "--admin-socket", lab.socket, "--state-directory",
                           str(lab.dir / "state"), "--http-listen", "127.0.0.1:9660")
        wait_until(lambda: "READY=1" in systemd.texts(), "READY=1")
        self.assertEqual(lab.command("status", check=False).returncode, 0)
        self.assertEqual(lab.run("lb", "curl", "-sS", "-m", "5", "http://127.0.0.1:9660/healthz").stdout, "ok\n")
        daemon.terminate()
        self.assertEqual(daemon.wait(15), 0)
        self.assertEqual(systemd.texts().count("READY=1"), 1)
        self.assertEqual(systemd.texts()[-1], "STOPPING=1\nSTATUS=stopping")

    def test_an_abstract_socket_does_as_well(self):
        systemd = self.listen(f"@{self.lab.name}")
        self.lab.start("snat")
        wait_until(lambda: "READY=1" in systemd.texts(), "READY=1")

    def test_the_status_tells_services_what_is_wrong_and_the_rate(self):
        lab = self.lab
        systemd = self.listen()
        lab.start("snat")
        wait_until(lambda: systemd.statuses()[-1:] == ["2 services, 0 pps"], "a status without traffic")
        burst = lab.requests(3000)
        wait_until(lambda: any(text.startswith("2 services, ") and " 0 pps" not in text for text in systemd.statuses()),
                   "a status with a rate")
        burst.finish()
        lab.command("backend", "disable", f"{WEB}/20.1.1.10:80")
        wait_until(lambda: systemd.statuses()[-1].startswith("2 services, 1 degraded, "), "a degraded service")
        for name in ("20", "30", "40"):
            lab.command("backend", "disable", f"{WEB}/20.1.1.{name}:80")
        wait_until(lambda: systemd.statuses()[-1].startswith("2 services, 1 down, "), "a service that is down")

    def test_the_watchdog_starves_while_a_worker_stands_still(self):
        lab = self.lab
        systemd = self.listen(WATCHDOG_USEC=2_000_000)
        lab.start("snat")
        wait_until(lambda: len(systemd.fed()) >= 5, "it is fed")
        times = systemd.fed()
        for before, after in zip(times, times[1:]):
            self.assertLess(after - before, 2, "it would have bitten")
        (worker,) = threads(lab.daemon.pid, "xdplb-worker")
        with stopped(worker):
            # What systemd would take for the end: an interval without food, while all else works.
            wait_until(lambda: time.monotonic() - systemd.fed()[-1] > 2.5, "it starves")
            health = lab.run("lb", "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "http://127.0.0.1:9660/healthz")
            self.assertEqual(health.stdout, "503")
            count = len(systemd.fed())
        wait_until(lambda: len(systemd.fed()) > count, "it is fed again")
        lab.requests(100).finish()

    def test_a_start_that_fails_says_why(self):
        lab = self.lab
        systemd = self.listen()
        lab.run("lb", "ip", "address", "add", f"{VIP}/32", "dev", "eth0")
        refused = lab.run("lb", *lab.wrapper, XDPLB, "run", "--interface", "eth0", "--service", f"{WEB}={backends(80)}",
                          "--admin-socket", lab.socket, "--http-listen", "none", check=False)
        self.assertEqual(refused.returncode, 3)
        wait_until(systemd.texts, "a datagram")
        self.assertEqual(len(systemd.texts()), 1)
        self.assertIn(f"VIP {VIP} is an address of this host", systemd.statuses()[0])

        config = lab.dir / "bad.yaml"
        config.write_text("version: 1\ninterfaces: [{name: eth0}]\nwieght: 7\n")
        self.assertEqual(lab.run("lb", *lab.wrapper, XDPLB, "run", "--config", str(config), check=False).returncode, 2)
        wait_until(lambda: len(systemd.texts()) == 2, "a second datagram")
        self.assertIn("bad.yaml:3:1: error: unknown key 'wieght'", systemd.statuses()[1])
        self.assertNotIn("\n", systemd.statuses()[1])


class Log(unittest.TestCase):
    def setUp(self):
        self.lab = self.enterContext(Lab())
        self.config = self.lab.dir / "xdplb.yaml"

    def launch(self, form):
        targets = ", ".join(f'"{backend}"' for backend in backends(80).split(","))
        self.config.write_text(
            f"version: 1\ninterfaces: [{{name: eth0}}]\nlog: {{format: {form}}}\ndefaults: {{mode: snat}}\n"
            f"services: [{{name: web, vips: [{VIP}], ports: [80/tcp], backends: [{targets}]}}]\n")
        self.lab.launch("--config", str(self.config))
        wait_until(lambda: self.lab.status()["ready"], "the daemon is ready")

    def errors(self):
        return (self.lab.dir / "xdplb.log").read_text()

    def test_json_is_an_object_a_line(self):
        self.launch("json")
        self.lab.command("backend", "weight", "web/20.1.1.10:80", "50")
        self.assertEqual(self.lab.stop(), 0)
        events = [json.loads(line) for line in self.errors().splitlines()]
        self.assertEqual(events[0]["event"], "started")
        self.assertEqual((events[0]["interface"], events[0]["level"]), ("eth0", "notice"))
        self.assertIn("generation_applied", [event["event"] for event in events])
        self.assertEqual(events[-1]["event"], "stopping")
        for event in events:
            self.assertRegex(event["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")

    def entries(self, journal):
        return [dict(line.split("=", 1) for line in text.splitlines()) for text in journal.texts()]

    def test_the_journal_gets_fields_and_standard_error_when_there_is_none(self):
        lab = self.lab
        folder = lab.dir / "journal"
        folder.mkdir()
        journal = Receiver(lab, str(folder / "socket"))
        # In the daemon's own mount namespace, so that the host's journal is left alone.
        lab.wrapper = ["sh", "-euc", """
            mount -t tmpfs tmpfs /run
            mkdir -p /run/systemd/journal
            mount --bind "$0" /run/systemd/journal
            exec "$@"
        """, str(folder)]
        self.launch("journal")
        lab.command("backend", "weight", "web/20.1.1.10:80", "50")
        wait_until(lambda: any(entry.get("XDPLB_BY") == "root" for entry in self.entries(journal)), "the change is logged")
        started = self.entries(journal)[0]
        self.assertEqual({key: started[key] for key in ("PRIORITY", "SYSLOG_IDENTIFIER", "MESSAGE_ID", "XDPLB_INTERFACE")},
                         {"PRIORITY": "5", "SYSLOG_IDENTIFIER": "xdplb", "XDPLB_INTERFACE": "eth0",
                          "MESSAGE_ID": "84bcf1c6f98c4f558f997c757f65a3e9"})
        self.assertTrue(started["MESSAGE"].startswith("started "), started)
        applied = [entry for entry in self.entries(journal) if entry.get("XDPLB_BY") == "root"][-1]
        self.assertEqual(int(applied["XDPLB_GENERATION"]), lab.status()["generation"])
        self.assertEqual(self.errors(), "")

        journal.process.kill()
        journal.process.wait()
        self.assertEqual(lab.stop(), 0)
        self.assertIn("event=stopping", self.errors())


class Privileges(unittest.TestCase):
    """As the unit runs it: no root, four capabilities, here even without the raised memory limit."""

    def setUp(self):
        self.lab = self.enterContext(Lab())
        # The tree may be closed to others.
        self.binary = self.lab.dir / "xdplb"
        shutil.copy(XDPLB, self.binary)
        for name in ("run", "state"):
            (self.lab.dir / name).mkdir()
            os.chown(self.lab.dir / name, NOBODY, NOBODY)
        self.lab.socket = str(self.lab.dir / "run/admin.sock")
        before = labs.XDPLB
        self.addCleanup(setattr, labs, "XDPLB", before)
        labs.XDPLB = str(self.binary)

    def become(self, *capabilities):
        kept = ",".join(["-all", *(f"+{name}" for name in capabilities)])
        self.lab.wrapper = ["prlimit", "--memlock=8388608", "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}",
                            "--clear-groups", f"--bounding-set={kept}", f"--inh-caps={kept}", f"--ambient-caps={kept}",
                            "--no-new-privs"]

    def test_four_capabilities_are_enough_to_serve(self):
        lab = self.lab
        self.become(*CAPABILITIES)
        lab.decapsulate()
        for mode in ("snat", "dsr"):
            lab.start(mode)
            status = pathlib.Path(f"/proc/{lab.daemon.pid}/status").read_text()
            fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
            self.assertEqual(fields["Uid"].split(), [str(NOBODY)] * 4)
            self.assertEqual(int(fields["CapEff"], 16), sum(1 << number for number in CAPABILITIES.values()))
            self.assertEqual(sum(lab.requests(300).finish().values()), 300)
            lab.command("backend", "drain", f"{WEB}/20.1.1.10:80")
            self.assertEqual(lab.stop(), 0)
        self.assertEqual(os.stat(lab.dir / "state/hash.key").st_uid, NOBODY)

    def test_each_of_the_four_is_needed(self):
        lab = self.lab
        for missing in CAPABILITIES:
            with self.subTest(missing):
                self.become(*(name for name in CAPABILITIES if name != missing))
                refused = lab.run("lb", *lab.wrapper, str(self.binary), "run", "--interface", "eth0", "--service",
                                  f"{WEB}={backends(80)}", "--admin-socket", lab.socket, "--state-directory",
                                  str(lab.dir / "state"), "--http-listen", "none", check=False)
                self.assertEqual(refused.returncode, 3, refused.stderr)
                self.assertRegex(refused.stderr, r"EPERM|EACCES|ENOBUFS|CAP_")


class Unit(unittest.TestCase):
    UNIT = ROOT / "deploy/xdplb.service"

    def analyze(self, *arguments):
        return subprocess.run(["systemd-analyze", *arguments, str(self.UNIT)], text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=60)

    def test_it_exposes_little(self):
        result = self.analyze("security", "--offline=true", "--threshold=30", "--no-pager")
        self.assertEqual(result.returncode, 0, result.stdout)
        self.assertRegex(result.stdout, r"Overall exposure level for xdplb.service: [0-2]\.\d")


if __name__ == "__main__":
    unittest.main()
