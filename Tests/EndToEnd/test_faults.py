# SPDX-License-Identifier: Apache-2.0
"""What goes wrong around a load balancer, under load, and that nothing is lost that need not be."""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
import unittest

from lab import BACKENDS, ROOT, VIP, XDPLB, Lab, wait_until


class Faults(unittest.TestCase):
    def setUp(self):
        self.lab = self.enterContext(Lab())
        self.file = self.lab.dir / "xdplb.yaml"

    def write(self, mode="snat", weights=(), health="type: tcp, interval: 500ms, timeout: 300ms, rise: 2, fall: 2", more=""):
        weights = dict(weights)
        backends = ", ".join(f"{{name: {name}, address: {address}, weight: {weights.get(name, 100)}}}"
                             for name, address in BACKENDS.items())
        self.file.write_text(f"""version: 1
interfaces: [{{name: eth0}}]
services:
  - {{name: web, vips: [{VIP}], ports: [80/tcp], mode: {mode}, health: {{{health}}}, backends: [{backends}]{more}}}
""")

    def begin(self, **options):
        self.write(**options)
        self.lab.launch("--config", str(self.file))
        wait_until(lambda: all(backend["eligible"] for backend in self.listed().values()), "all backends are eligible")

    def listed(self):
        return {backend["name"]: backend for backend in self.lab.json("backend", "list")["backends"]}

    def log(self):
        return (self.lab.dir / "xdplb.log").read_text()

    def memory(self):
        """Resident memory in kB and open descriptors of the daemon."""
        process = pathlib.Path(f"/proc/{self.lab.daemon.pid}")
        status = (process / "status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]), len(list((process / "fd").iterdir()))

    def slow_download(self, name="/slow"):
        """Begins a download that lasts some seconds; ends well or not."""
        return subprocess.Popen(
            self.lab.in_node("client", "curl", "-sS", "-o", "/dev/null", "-m", "60", "-w", "%{http_code} %{size_download}",
                             f"http://{VIP}{name}"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def assertWhole(self, download):
        out, errors = download.communicate(timeout=90)
        self.assertEqual((out, errors), (f"200 {24 << 20}", ""))

    def nginx(self, node, *arguments):
        folder = self.lab.dir / node
        self.lab.run(node, "nginx", "-c", str(folder / "nginx.conf"), "-p", str(folder), *arguments)

    def test_a_backend_that_flaps_costs_only_what_was_on_it(self):
        lab = self.lab
        self.begin()
        lab.requests(100, 4).finish()
        client = lab.json("connections", "list", "--backend", "web/b1", "--limit", "1")["connections"][0]["client"]
        for _ in range(3):
            self.nginx("b1", "-s", "stop")
            wait_until(lambda: not self.listed()["b1"]["eligible"], "b1 is out")
            steps = lab.command("trace", f"tcp {client} > {VIP}:80").stdout
            self.assertRegex(steps, r"pinned to b1 .*begun anew, as that backend does not take it\n\d maglev .*-> b[234]")
            # From here on nobody is sent there: no request may fail.
            self.assertEqual(lab.requests(300, 4).finish()["b1"], 0)
            self.nginx("b1")
            wait_until(lambda: self.listed()["b1"]["eligible"], "b1 is back")
        self.assertGreater(lab.requests(600, 4).finish()["b1"], 0)

    def download_whose_backend_fails_its_probes(self, policy, mode):
        """A download in whose midst its backend says that it is ill, and goes on sending."""
        lab = self.lab
        lab.decapsulate()
        for node in BACKENDS:
            (lab.dir / node / "www" / "up").touch()
        self.begin(health="type: http, path: /up, interval: 200ms, timeout: 100ms, fall: 2", more=f", on_unhealthy: {policy}",
                   mode=mode)
        download = self.slow_download()
        used = lambda: [c["backend"] for c in lab.json("connections", "list", "--client", "20.1.1.100")["connections"]]
        node = wait_until(used, "the download has begun")[0]
        name = next(name for name, address in BACKENDS.items() if name in node or address in node)
        (lab.dir / name / "www" / "up").unlink()
        wait_until(lambda: not self.listed()[name]["eligible"], f"{name} is out")
        return download

    def test_connections_of_a_backend_that_fails_its_probes_stay_with_it(self):
        for mode in ("snat", "dsr"):
            with self.subTest(mode=mode):
                download = self.download_whose_backend_fails_its_probes("keep", mode)
                self.assertIsNone(download.poll(), "the download was over before its backend failed")
                self.assertWhole(download)
                self.lab.stop()

    def test_connections_of_a_backend_that_fails_its_probes_move_where_so_configured(self):
        # In dsr they go by the table: another backend knows nothing of them, and resets them.
        _, errors = self.download_whose_backend_fails_its_probes("move", "dsr").communicate(timeout=20)
        self.assertIn("reset", errors.lower())
        # In snat nothing is known of them any more.
        self.lab.stop()
        download = self.download_whose_backend_fails_its_probes("move", "snat")
        drops = lambda: {drop["reason"]: drop["total"] for drop in self.lab.json("drops")["drops"]}
        wait_until(lambda: drops()["no_connection"] > 0, "the connection is ended")
        download.kill()
        download.communicate()

    def test_a_link_that_flaps_is_told_and_connections_go_on(self):
        lab = self.lab
        self.begin(health="type: none")
        download = self.slow_download()
        wait_until(lambda: lab.json("connections", "count")["count"] > 0, "the download has begun")
        for _ in range(3):
            lab.run("switch", "ip", "link", "set", "to-lb", "down")
            wait_until(lambda: "is down" in " ".join(lab.status()["problems"]), "the link is seen to be down")
            lab.run("switch", "ip", "link", "set", "to-lb", "up")
            wait_until(lambda: "is down" not in " ".join(lab.status()["problems"]), "the link is up again")
        self.assertWhole(download)
        self.assertEqual(self.log().count("event=interface_down"), 3)
        self.assertEqual(self.log().count("event=interface_up"), 3)

    def test_a_neighbour_with_a_new_hardware_address_is_followed(self):
        lab = self.lab
        self.begin(health="type: none")
        for number in range(3):
            mac = f"02:00:00:00:aa:{number:02x}"
            lab.run("b2", "ip", "link", "set", "eth0", "address", mac)
            lab.run("b2", "ip", "neigh", "flush", "all")
            # As a host announces itself (RFC 5227 §3): here the first packet of its own does it.
            lab.run("b2", "ping", "-c", "1", "-W", "2", "20.1.1.1")
            hops = lambda: {hop["address"]: hop["mac"] for hop in lab.json("neighbours", "list")["neighbours"]}
            wait_until(lambda: hops()[BACKENDS["b2"]] == mac, "the new address is known")
            self.assertGreater(lab.requests(400, 4).finish()["b2"], 0)

    def test_a_route_that_changes_moves_the_next_hop(self):
        lab = self.lab
        self.begin(health="type: none")
        # b1 from now on by way of b2, which forwards.
        lab.run("b2", "sysctl", "-qw", "net.ipv4.ip_forward=1")
        lab.run("lb", "ip", "route", "add", BACKENDS["b1"] + "/32", "via", BACKENDS["b2"])
        wait_until(lambda: self.listed()["b1"]["next_hop"] == BACKENDS["b2"], "the new next hop is used")
        self.assertGreater(lab.requests(400, 4).finish()["b1"], 0)
        lab.run("lb", "ip", "route", "del", BACKENDS["b1"] + "/32")
        wait_until(lambda: self.listed()["b1"]["next_hop"] == BACKENDS["b1"], "the old one is used again")
        self.assertGreater(lab.requests(400, 4).finish()["b1"], 0)

    def test_a_storm_of_neighbour_events_loses_no_state(self):
        lab = self.lab
        self.begin(health="type: none")
        burst = lab.requests(2000, 4)
        # More than the socket's buffer holds: the kernel says ENOBUFS, and all is read anew.
        lines = "\n".join(f"neigh replace 20.1.{i // 250 % 250 + 2}.{i % 250 + 1} lladdr 02:00:00:01:{i % 256:02x}:{i // 256 % 256:02x} dev eth0"
                          for i in range(20000))
        os.kill(lab.daemon.pid, signal.SIGSTOP)
        try:
            lab.run("lb", "ip", "-batch", "-", input=lines)
        finally:
            os.kill(lab.daemon.pid, signal.SIGCONT)
        lab.run("lb", "ip", "neigh", "replace", BACKENDS["b4"], "lladdr", "02:00:00:00:bb:bb", "dev", "eth0", "nud", "permanent")
        hops = lambda: {hop["address"]: hop["mac"] for hop in lab.json("neighbours", "list")["neighbours"]}
        wait_until(lambda: hops().get(BACKENDS["b4"]) == "02:00:00:00:bb:bb", "the last event was not lost", 30)
        lab.run("lb", "ip", "neigh", "del", BACKENDS["b4"], "dev", "eth0")
        burst.finish()

    def test_a_daemon_that_was_stopped_and_goes_on_keeps_its_connections(self):
        lab = self.lab
        self.begin(health="type: none")
        downloads = [self.slow_download() for _ in range(3)]
        wait_until(lambda: lab.json("connections", "count")["count"] >= 3, "the downloads have begun")
        os.kill(lab.daemon.pid, signal.SIGSTOP)
        try:
            # Long enough that TCP notices: the backends send again, and wait longer each time.
            waits = lambda: any("backoff:" in lab.run(node, "ss", "-Htin", "sport", "=", ":80").stdout for node in BACKENDS)
            wait_until(waits, "a backend waits for acknowledgements")
        finally:
            os.kill(lab.daemon.pid, signal.SIGCONT)
        for download in downloads:
            self.assertWhole(download)

    def test_an_admin_client_that_never_reads_holds_nobody_up(self):
        import socket
        lab = self.lab
        self.begin(health="type: none")
        stuck = []
        for _ in range(20):
            client = socket.socket(socket.AF_UNIX)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            client.connect(lab.socket)
            client.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 200)
            stuck.append(client)
        began = time.monotonic()
        for _ in range(10):
            lab.status()
        self.assertLess(time.monotonic() - began, 15)
        lab.requests(100, 2).finish()
        lab.command("backend", "drain", "web/b1")
        for client in stuck:
            client.close()

    def test_a_thousand_reloads_under_traffic_break_nothing_and_memory_stays_flat(self):
        lab = self.lab
        self.begin(health="type: none")
        downloads = [self.slow_download() for _ in range(3)]
        stop = time.monotonic() + 400
        burst = lab.requests(20000, 4)
        half, whole = None, 0
        for number in range(1000):
            self.write(weights={"b1": 50 + number % 100, "b2": 30 + number % 7}, health="type: none")
            report = lab.json("reload", "--wait")
            self.assertEqual(report["ended_connections"], 0)
            if number == 300:
                half = self.memory()
            # There is one in its midst at every reload.
            for index, download in enumerate(downloads):
                if download.poll() is not None:
                    self.assertWhole(download)
                    whole += 1
                    downloads[index] = self.slow_download()
            if not burst.is_running():
                burst.finish()
                burst = lab.requests(20000, 4)
            self.assertLess(time.monotonic(), stop, f"after {number} reloads")
        for download in downloads:
            self.assertWhole(download)
        self.assertGreater(whole, 3)
        burst.finish()
        memory, descriptors = self.memory()
        self.assertLess(memory - half[0], 16 << 10, f"{half} kB and descriptors before, {memory} and {descriptors} after")
        self.assertLessEqual(descriptors, half[1] + 4)
        self.assertLessEqual(len(list((lab.dir / "state/generations").iterdir())), 20)

    def test_500_services_with_4000_backends_apply_within_a_second(self):
        lab = self.lab
        self.begin(health="type: none")
        services = "".join(
            f"  - {{name: s{i}, vips: [41.{i // 250}.{i % 250}.1], ports: [80/tcp], mode: snat, backends: ["
            + ", ".join(f"20.1.1.{10 + (i + j) % 90}:{8000 + j}" for j in range(8)) + "]}\n" for i in range(500))
        self.file.write_text("version: 1\ninterfaces: [{name: eth0}]\nconnections: {entries_per_worker: 65536}\nservices:\n" + services)
        lab.stop()
        lab.launch("--config", str(self.file))
        self.assertEqual(len(lab.json("service", "list")["services"]), 500)
        self.file.write_text(self.file.read_text().replace("20.1.1.10:8000", "20.1.1.99:8000"))
        report = lab.json("reload", "--wait")
        self.assertGreater(report["moved_slots"], 0)
        self.assertLess(report["took_ms"], 1000)
        # Whole: reading, checking and building included; the best of some, as others use the host, too.
        took = []
        for number in (98, 97, 96):
            self.file.write_text(self.file.read_text().replace(f"20.1.1.{number + 1}:8000", f"20.1.1.{number}:8000"))
            began = time.monotonic()
            self.assertGreater(lab.json("reload", "--wait")["moved_slots"], 0)
            took.append(time.monotonic() - began)
        print(f"reload of 500 services, 4000 backends: {min(took):.2f} s, published in {report['took_ms']} ms", file=sys.stderr)
        # A debug build takes seconds.
        if "/debug/" not in XDPLB:
            self.assertLess(min(took), 1)

    def test_steps_of_the_clock_end_no_connection(self):
        lab = self.lab
        offset, library = lab.dir / "offset", lab.dir / "clockstep.so"
        offset.write_text("0")
        clang = pathlib.Path(shutil.which("swift")).resolve().parent / "clang"
        subprocess.run([clang, "-shared", "-fPIC", "-O2", ROOT / "Tests/EndToEnd/clockstep.c", "-o", library], check=True)
        self.write(health="type: none")
        lab.launch("--config", str(self.file), environment={"LD_PRELOAD": str(library), "CLOCK_STEP_FILE": str(offset)})
        wait_until(lambda: lab.status()["ready"], "the daemon is ready")
        download = self.slow_download()
        wait_until(lambda: lab.json("connections", "count")["count"] > 0, "the download has begun")
        before = lab.status()["time"]
        lab.command("service", "update", "--vip", f"{VIP}:80/tcp", "--backends", BACKENDS["b1"])
        for step, year in ((3000 * 86400, 8), (-3000 * 86400, -8)):
            offset.write_text(str(step))
            wait_until(lambda: int(lab.status()["time"][:4]) - int(before[:4]) in (year, year + 1, year - 1), "the daemon's clock is stepped")
            self.assertGreater(lab.json("connections", "count")["count"], 0)
            self.assertEqual(lab.requests(100, 2).finish()["b1"], 100)
        self.assertWhole(download)


if __name__ == "__main__":
    unittest.main()
