# SPDX-License-Identifier: Apache-2.0
"""A lab whose daemon is captured from and asked about, with a service of each kind."""
import json
import signal
import subprocess
import unittest

from capture import faults
from lab import BACKENDS, VIP, XDPLB, Lab, wait_until
from pcapng import Capture

CLIENT, LOAD_BALANCER = "20.1.1.100", "20.1.1.1"
# Ports: `dsr`, `snat`, and one that is for others.
WEB, NAT, CLOSED = 80, 8080, 81


def configuration():
    """One service of each kind, as JSON, which YAML includes."""
    def service(name, port, mode, **more):
        backends = [{"name": node, "address": address} for node, address in BACKENDS.items()]
        return {"name": name, "vips": [VIP], "ports": [f"{port}/tcp"], "mode": mode, "backends": backends, **more}
    return json.dumps({"version": 1, "interfaces": [{"name": "eth0"}], "services": [
        service("web", WEB, "dsr"), service("nat", NAT, "snat"),
        service("closed", CLOSED, "dsr", source_ranges=["192.0.2.0/24"])]})


class LiveTest(unittest.TestCase):
    """A lab whose daemon runs for all tests of a class."""

    QUEUES = 1

    @classmethod
    def setUpClass(cls):
        cls.lab = cls.enterClassContext(Lab(cls.QUEUES))
        cls.lab.decapsulate()
        cls.start()

    @classmethod
    def start(cls):
        path = cls.lab.dir / "xdplb.yaml"
        path.write_text(configuration())
        cls.lab.launch("--config", str(path))
        wait_until(lambda: cls.lab.status()["ready"], "the daemon is ready")

    # Captures

    def path(self):
        return self.lab.dir / f"{self.id().rsplit('.', 1)[1]}-{len(self.lab.processes)}.pcapng"

    def capture(self, *arguments, path=None):
        """Starts a capture and returns when it has begun."""
        path = path or self.path()
        process = self.launch("-w", str(path), *arguments)
        wait_until(lambda: process.poll() is not None or path.exists() and path.stat().st_size > 0, "the capture begins")
        process.path = path
        return process

    def launch(self, *arguments, stdout=subprocess.DEVNULL):
        process = subprocess.Popen([XDPLB, "capture", *arguments, "--admin-socket", self.lab.socket], stdout=stdout,
                                   stderr=subprocess.PIPE, text=True)
        self.lab.processes.append(process)
        return process

    def finish(self, process, number=signal.SIGINT, code=0):
        """Ends a capture as Ctrl-C does; returns what was captured. All of it must be sound."""
        if number and process.poll() is None:
            process.send_signal(number)
        process.summary = process.communicate(timeout=30)[1]
        self.assertEqual(process.returncode, code, process.summary)
        capture = Capture(process.path)
        self.assertEqual(faults(process.path), [])
        return capture

    # Traffic

    def request(self, port=WEB, path="name", seconds=5, check=True):
        return self.lab.run("client", "curl", "-sS", "-m", str(seconds), f"http://{VIP}:{port}/{path}", check=check)

    def log(self):
        return (self.lab.dir / "xdplb.log").read_text()
