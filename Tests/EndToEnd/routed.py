# SPDX-License-Identifier: Apache-2.0
"""The routed network for tests: both families, links with MTUs of their own; see routed.sh."""
import contextlib
import hashlib
import json
import pathlib
import re
import unittest

from capture import Capture
from lab import BACKENDS, XDPLB, Lab, url_host, wait_until

VIP = {4: "203.0.113.10", 6: "2001:db8:f::10"}
POOL = {4: "198.51.100.20", 6: "2001:db8:99::20"}
CLIENT = {4: "10.1.0.100", 6: "2001:db8:1::100"}
LOAD_BALANCER = {4: "10.3.0.10", 6: "2001:db8:3::10"}
# Bytes of an outer header.
OUTER = {4: 20, 6: 40}
# What a file of a megabyte more or less must not take longer than; 10 MB take a fraction of it.
SECONDS = 30

FRAGMENTATION_NEEDED = {4: "icmp.type == 3 and icmp.code == 4", 6: "icmpv6.type == 2"}
NEXT_MTU = {4: "icmp.mtu", 6: "icmpv6.mtu"}


def backend(node, family):
    """An address of a backend."""
    return {4: "10.5.0.1", 6: "2001:db8:5::1"}[family] + node.removeprefix("b")


def digest(path):
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


def service(name, mode, vips, ports, backends, **more):
    """A service of the configuration; `vips` are families."""
    if mode == "snat":
        more.setdefault("snat_pool", "p1")
    return {"name": name, "mode": mode, "vips": [VIP[family] for family in vips], "ports": ports,
            "backends": [item if isinstance(item, dict) else {"address": item} for item in backends], **more}


class RoutedLab(Lab):
    """The nine nodes. Use it as a context manager."""

    TOPOLOGY = "routed.sh"

    def split_queues(self):
        """Nothing to do: hosts spread their flows over the queues of a link, and routers keep that."""

    def keep_queues(self):
        """Keeps each flow on its queue also when its sender's TCP sends again, and would choose another one."""
        super().split_queues("core")

    def addresses(self):
        return [(node, backend(node, family)) for node in BACKENDS for family in (4, 6)]

    def set_mtu(self, **links):
        """Of the links client, transit, lb, fabric, backends."""
        for link, mtu in links.items():
            self._topology(f"routed_mtu {link} {mtu}")

    def forget_paths(self):
        """Hosts forget the path MTUs that they learned."""
        for node in ("client", "lb", *BACKENDS):
            self.run(node, "ip", "-4", "route", "flush", "cache")
            self.run(node, "ip", "-6", "route", "flush", "cache")

    def decapsulate(self):
        for node in BACKENDS:
            # One of each family in both modes.
            mode = "xdp" if node in ("b1", "b3") else "tc"
            vips = [item for family in (4, 6) for item in ("--vip", VIP[family])]
            trusted = ["--trust", f"{LOAD_BALANCER[4]}/32", "--trust", f"{LOAD_BALANCER[6]}/128"]
            self.run(node, XDPLB, "decap", "attach", "--interface", "eth0", *vips, *trusted, "--mode", mode, "--setup")

    # The daemon

    def serve(self, *services, ready=True, **sections):
        """Starts xdplb anew with these services; returns when it serves, or answers unless `ready`."""
        if self.daemon and self.daemon.poll() is None:
            assert self.stop() == 0, (self.dir / "xdplb.log").read_text()
        configuration = {
            "version": 1,
            "interfaces": [{"name": "eth0"}],
            "connections": {"entries_per_worker": 65536, "fragments": "track"},
            "icmp": {"echo_reply": True},
            "encapsulation": {"too_big": "reply"},
            "snat_pools": [{"name": "p1", "addresses": list(POOL.values())}],
            "services": list(services),
            **sections,
        }
        file = self.dir / "xdplb.yaml"
        file.write_text(json.dumps(configuration, indent=1))
        self.launch("--config", str(file))
        if ready:
            wait_until(lambda: self.status()["ready"], "the daemon is ready")

    def drops(self, reason):
        """Frames that were dropped for a reason."""
        metrics = self.run("lb", "curl", "-sS", "--fail", "-m", "5", "http://127.0.0.1:9660/metrics").stdout
        found = re.findall(rf'^xdplb_drops_total{{[^}}]*reason="{reason}"[^}}]*}} (\d+)$', metrics, re.MULTILINE)
        assert found, f"no counter for {reason}"
        return sum(map(int, found))

    def handed_off(self):
        """Frames that one worker gave another."""
        return sum(worker["handed_off"] for worker in self.status()["workers"])

    # Traffic

    def share(self, file):
        """Puts a file on every backend's server; returns its name there."""
        for node in BACKENDS:
            link = self.dir / node / "www" / file.name
            if not link.exists():
                link.symlink_to(file)
        return file.name

    def curl(self, family, path, *more, port=80, seconds=SECONDS, check=True):
        """curl on the client to a VIP; returns what it did."""
        done = self.run("client", "curl", "-sS", "--fail", "-m", str(seconds), *more,
                        f"http://{url_host(VIP[family])}:{port}/{path}", check=False)
        if check and done.returncode != 0:
            raise AssertionError(f"curl to {VIP[family]}, port {port}, {path}: exit {done.returncode}: {done.stderr}")
        return done

    def download(self, family, file):
        """Fetches a shared file and checks it; returns which backend gave it."""
        target = self.dir / "downloaded"
        target.unlink(missing_ok=True)
        done = self.curl(family, self.share(file), "-o", str(target), "-w", "%header{backend}")
        assert digest(target) == digest(file), "the download is not intact"
        return done.stdout

    def upload(self, family, file):
        done = self.curl(family, "upload", "-T", str(file), port=8080)
        assert done.stdout.strip() == digest(file), "the upload is not intact"


class RoutedTest(unittest.TestCase):
    """A test in the routed network; all that the load balancer sends is checked at the end."""

    # MTUs of links that are not as usual.
    mtu = {}
    queues = 1
    decapsulated = True

    @classmethod
    def setUpClass(cls):
        cls.lab = RoutedLab(cls.queues).__enter__()
        cls.addClassCleanup(cls.lab.__exit__)
        cls.lab.set_mtu(**cls.mtu)
        if cls.decapsulated:
            cls.lab.decapsulate()

    def setUp(self):
        self.begin()

    def tearDown(self):
        self.check()

    def begin(self):
        self.lab.forget_paths()
        self.sent = self.capture("core", "to-lb", "in")

    def check(self):
        self.assertEqual(self.sent.faults(self.mtu.get("lb", 1600)), [], "frames of the load balancer have faults")

    @contextlib.contextmanager
    def case(self, **names):
        """A test within the test, of which the next one learns nothing."""
        with self.subTest(**names):
            self.sent.stop()
            self.begin()
            try:
                yield
            finally:
                self.check()

    def capture(self, node, interface, direction="inout", filter=""):
        """Begins a capture that ends with the test."""
        return self.enterContext(Capture(self.lab, node, interface, direction, filter))
