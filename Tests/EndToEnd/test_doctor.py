# SPDX-License-Identifier: Apache-2.0
"""`xdplb doctor`: says of a good network that it is good, and of a broken one what is broken and what mends it."""
import json
import subprocess
import unittest

import routed
from lab import BACKENDS, VIP, XDPLB, Lab, wait_until
from routed import RoutedLab

# Checks of the machine that the tests happen to run on.
MACHINE = {"kernel", "cpu", "irq", "numa"}


class DoctorTestCase(unittest.TestCase):
    """Runs the doctor on the load balancer of `self.lab`."""

    def configure(self, mode="dsr", queues=None, ports=("80/tcp",), vips=(VIP,), backends=None, health=None):
        interface = {"name": "eth0", **({"queues": queues} if queues else {})}
        backends = backends or [{"name": name, "address": address} for name, address in BACKENDS.items()]
        service = {"name": "web", "vips": list(vips), "ports": list(ports), "mode": mode, "backends": backends}
        if health:
            service["health"] = health
        self.file = self.lab.dir / "doctor.yaml"
        self.file.write_text(json.dumps({"version": 1, "interfaces": [interface], "services": [service]}))

    def doctor(self, *arguments, code=0):
        """Runs it on the file, or on what the arguments name."""
        subject = [] if "eth0" in arguments else ["--config", str(self.file)]
        done = self.lab.run("lb", XDPLB, "doctor", *subject, *arguments, "--admin-socket", self.lab.socket, check=False)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout

    def findings(self, *arguments, code=0):
        document = json.loads(self.doctor(*arguments, "-o", "json", code=code))
        self.assertEqual(document["schema"], "xdplb.doctor/1")
        levels = [finding["level"] for finding in document["findings"]]
        self.assertEqual((levels.count("fail"), levels.count("warn")), (document["failures"], document["warnings"]))
        return [finding for finding in document["findings"] if finding["check"] not in MACHINE]

    def problems(self, code=0):
        return [finding for finding in self.findings(code=code) if finding["level"] in ("warn", "fail")]

    def only_problem(self, level, check, code=2):
        """The one thing that is wrong."""
        problems = self.problems(code)
        self.assertEqual([(problem["level"], problem["check"]) for problem in problems], [(level, check)], problems)
        return problems[0]

    def mend(self, problem, node="lb"):
        """Runs the remedy, as pasted from the line."""
        for command in problem["commands"] or [problem["remedy"]]:
            command = XDPLB + command.removeprefix("xdplb") if command.startswith("xdplb ") else command
            self.lab.run(node, "sh", "-c", command)
        self.assertEqual(self.problems(), [])

    def is_attached(self):
        link = json.loads(self.lab.run("lb", "ip", "-json", "link", "show", "dev", "eth0").stdout)[0]
        return "xdp" in link


class GoodNetwork(DoctorTestCase):
    def setUp(self):
        self.lab = self.enterContext(Lab())

    def test_all_is_well_and_nothing_is_left_behind(self):
        self.lab.decapsulate()
        for mode in ("dsr", "snat"):
            self.configure(mode)
            with self.subTest(mode):
                findings = self.findings()
                self.assertEqual({finding["level"] for finding in findings}, {"ok"}, findings)
                facts = {finding["check"]: finding["fact"] for finding in findings}
                self.assertEqual(facts["driver"], "eth0: veth, native XDP, copy mode")
                self.assertEqual(facts["queues"], "eth0: 1 queue, all of which get sockets")
                self.assertIn("4 next hops resolved", facts["neighbours"])
                self.assertEqual(facts["vips"], "1 VIP, none an address of this host")
                self.assertEqual(facts["backend"], "web: 4 of 4 answer" + (", in the tunnel too" if mode == "dsr" else ""))
                self.assertFalse(self.is_attached())
        for node in BACKENDS:
            half_open = self.lab.run(node, "ss", "-Htn", "state", "syn-recv").stdout
            self.assertEqual(half_open, "", "the probe through the tunnel ends what it began")

    def test_the_text_is_laid_out_in_columns_and_ends_with_the_count(self):
        self.configure("snat")
        lines = self.doctor().splitlines()
        self.assertRegex(lines[0], rf"^xdplb doctor, \S+, \d{{4}}-\d\d-\d\d \d\d:\d\d UTC, eth0, {self.file}$")
        self.assertIn("  ok    mtu         1600, no tunnel", lines)
        self.assertRegex(lines[-1], r"^0 failures, \d warnings?; nothing was changed\.")

    def test_an_interface_alone_is_enough(self):
        findings = self.findings("eth0")
        self.assertEqual({finding["level"] for finding in findings}, {"ok"}, findings)
        for arguments in (["nosuch0"], []):
            done = self.lab.run("lb", XDPLB, "doctor", *arguments, "--admin-socket", self.lab.socket, check=False)
            self.assertEqual(done.returncode, 2)
            self.assertIn("nosuch0" if arguments else "no interface to examine", done.stderr)

    def test_a_running_daemon_is_asked_and_not_disturbed(self):
        lab = self.lab
        lab.decapsulate()
        for mode in ("dsr", "snat"):
            with self.subTest(mode):
                lab.start(mode)
                burst = lab.requests(1500)
                wait_until(lambda: len(burst.answers()) > 100, "the burst is running")
                findings = self.findings("eth0")
                burst.finish()
                self.assertEqual({finding["level"] for finding in findings}, {"ok"}, findings)
                facts = {finding["check"]: finding["fact"] for finding in findings}
                self.assertEqual(facts["driver"], "eth0: veth, running with native XDP, copy mode")
                self.assertIn(f"held by process {lab.daemon.pid} ", facts["attach"])
                self.assertEqual(facts["queues"], "eth0: 1 queue, each with a socket")
                self.assertEqual(lab.status()["interface"]["ring_losses"], 0)
                self.assertEqual(lab.stop(), 0)

    def test_an_xdplb_that_is_not_reached_is_named(self):
        self.lab.start("snat")
        done = self.lab.run("lb", XDPLB, "doctor", "eth0", "--admin-socket", "/nowhere", check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn("an xdplb that does not answer", done.stdout)
        self.assertIn(f"kill {self.lab.daemon.pid}", done.stdout)


class BrokenNetwork(DoctorTestCase):
    def setUp(self):
        self.lab = self.enterContext(Lab())
        self.lab.decapsulate()
        self.configure()
        self.assertEqual(self.problems(), [])

    def test_offloads_at_the_other_end_of_a_veth(self):
        lab = self.lab
        for mode in ("dsr", "snat"):
            with self.subTest(mode):
                for node, device in (("switch", "to-lb"), ("client", "eth0")):
                    lab.run(node, "ethtool", "-K", device, "tx", "on", "tso", "on", "gso", "on")
                self.configure(mode)
                problem = self.only_problem("fail", "offloads")
                self.assertEqual(problem["fact"], "to-lb, the other end of eth0, has tx, tso, gso on")
                self.assertEqual(problem["consequence"], "partial checksums, and backends drop the packets")
                # What the doctor says is so, and its remedy is one.
                lab.start(mode)
                request = ("curl", "-s", "-m", "2", "-o", "/dev/null", f"http://{VIP}/name")
                self.assertEqual(lab.run("client", *request, check=False).returncode, 28)
                self.mend(problem)
                lab.run("client", *request)
                lab.stop()

    def test_a_vip_that_is_an_address_of_the_host(self):
        self.lab.run("lb", "ip", "address", "add", f"{VIP}/32", "dev", "lo")
        problem = self.only_problem("fail", "vips")
        self.assertIn(f"VIP {VIP} is an address of this host, on lo", problem["fact"])
        self.assertEqual(problem["commands"], [f"ip addr del {VIP}/32 dev lo"])
        self.mend(problem)

    def test_a_listener_that_a_service_hides(self):
        self.lab.run("lb", "sysctl", "-qw", "net.ipv4.ip_nonlocal_bind=1")
        self.lab.spawn("lb", "python3", "-c", f"import socket, signal; s = socket.create_server(('{VIP}', 80)); signal.pause()")
        wait_until(lambda: f"{VIP}:80" in self.lab.run("lb", "ss", "-Hltn").stdout, "the listener listens")
        problem = self.only_problem("warn", "vips", code=0)
        self.assertIn(f"listens at {VIP}:80/tcp", problem["fact"])

    def test_an_mtu_without_room_for_the_tunnel(self):
        self.lab.run("lb", "ip", "link", "set", "eth0", "mtu", "1500")
        self.doctor("--strict", code=1)
        problem = self.only_problem("warn", "mtu", code=0)
        self.assertEqual(problem["fact"], "1500, the tunnel adds 20")
        self.assertIn("advmss 1440 on the backends", problem["remedy"])
        self.mend(problem)

    def test_a_backend_that_does_not_decapsulate(self):
        self.lab.run("b2", XDPLB, "decap", "detach", "--interface", "eth0", "--setup")
        problem = self.only_problem("fail", "backend")
        self.assertIn("web/b2: it rejects tunnels by ICMP", problem["fact"])
        self.assertEqual(problem["host"], "b2")
        self.mend(problem, node="b2")

    def test_a_backend_that_lacks_the_vip(self):
        self.lab.run("b3", "ip", "address", "del", f"{VIP}/32", "dev", "lo")
        problem = self.only_problem("fail", "backend")
        self.assertIn(f"web/b3: 20.1.1.30:80 answers, {VIP}:80 in the tunnel does not", problem["fact"])
        self.assertEqual(problem["consequence"], "no decapsulation there, no VIP, or rp_filter")
        self.mend(problem, node="b3")

    def test_a_tunnel_that_loses_large_packets(self):
        self.lab.run("b3", "ip", "link", "set", "eth0", "mtu", "1500")
        self.lab.run("switch", "ip", "link", "set", "to-b3", "mtu", "1500")
        problem = self.only_problem("warn", "backend", code=0)
        self.assertEqual(problem["fact"], "web/b3: packets of 1500 bytes are lost in the tunnel, small ones pass")
        self.assertEqual(problem["consequence"], "the MTU on the way is less than 1520")

    def test_a_service_without_tcp_is_asked_by_its_health_check(self):
        self.configure(ports=["53/udp"])
        lines = [finding for finding in self.findings() if finding["check"] == "backend"]
        self.assertEqual([(line["level"], line["fact"]) for line in lines], [("info", "web: not probed")])
        self.configure(ports=["53/udp"], health={"type": "icmp"})
        lines = [finding for finding in self.findings() if finding["check"] == "backend"]
        self.assertEqual([line["fact"] for line in lines], ["web: 4 of 4 answer, in the tunnel too"])
        self.configure(ports=["53/udp"], health={"type": "dns"})
        for problem in self.problems(code=2):
            self.assertIn("20.1.1.", problem["fact"])
            self.assertIn(":53 refuses", problem["fact"])

    def test_a_backend_where_nothing_listens(self):
        self.configure(ports=["81/tcp"])
        problems = self.problems(code=2)
        self.assertEqual(len(problems), 4)
        for problem in problems:
            self.assertIn(f"{VIP}:81 in the tunnel is refused", problem["fact"])
            self.assertIn("nothing listens at the VIP there", problem["consequence"])
        self.configure("snat", ports=["81/tcp"])
        self.assertEqual({problem["consequence"] for problem in self.problems(code=2)}, {"nothing listens there"})

    def test_a_backend_that_is_down(self):
        self.lab.run("b4", "ip", "link", "set", "eth0", "down")
        problems = self.problems(code=2)
        backend = [problem for problem in problems if problem["check"] == "backend"]
        self.assertEqual(len(backend), 1, problems)
        self.assertIn("web/b4: 20.1.1.40:80 does not answer", backend[0]["fact"])
        self.assertEqual(backend[0]["consequence"], "the backend is down or unreachable")
        # In the end the kernel knows as well, and so does the doctor.
        self.lab.run("lb", "ip", "neigh", "flush", "dev", "eth0")
        neighbours = [problem for problem in self.problems(code=2) if problem["check"] == "neighbours"]
        self.assertEqual(len(neighbours), 1)
        self.assertIn("next hop 20.1.1.40 does not answer", neighbours[0]["fact"])
        self.lab.run("b4", "ip", "link", "set", "eth0", "up")
        self.assertEqual(self.problems(), [])

    def test_a_backend_without_a_route(self):
        backends = [{"name": "far", "address": "198.51.100.7"}]
        self.configure("snat", backends=backends)
        neighbours = [problem for problem in self.problems(code=2) if problem["check"] == "neighbours"]
        self.assertIn("no route to 198.51.100.7 leaves by eth0", neighbours[0]["fact"])

    def test_an_xdp_program_of_somebody_else(self):
        source, program = self.lab.dir / "other.bpf.c", self.lab.dir / "other.o"
        source.write_text('#include <linux/bpf.h>\n#include <bpf/bpf_helpers.h>\nSEC("xdp") int other(struct xdp_md *c) '
                          '{ return XDP_PASS; }\nchar _license[] SEC("license") = "GPL";\n')
        self.lab.compile_bpf(source, program)
        for mode, name in (("xdpdrv", "native"), ("xdpgeneric", "generic")):
            with self.subTest(mode):
                self.lab.run("lb", "ip", "link", "set", "dev", "eth0", mode, "obj", str(program), "sec", "xdp")
                problem = self.only_problem("fail", "attach")
                self.assertRegex(problem["fact"], rf"XDP program \d+ 'other', {name}, held by no process")
                self.assertIn("never replaced", problem["consequence"])
                self.mend(problem)
                self.assertFalse(self.is_attached())

    def test_the_script_is_valid_and_mends_everything_at_once(self):
        self.configure("snat")
        self.lab.run("switch", "ethtool", "-K", "to-lb", "tx", "on", "gso", "on")
        self.lab.run("lb", "ip", "address", "add", f"{VIP}/32", "dev", "lo")
        self.lab.run("lb", "ip", "link", "set", "eth0", "mtu", "3900")
        self.assertEqual({problem["check"] for problem in self.problems(code=2)}, {"offloads", "vips", "mtu"})
        script = self.lab.dir / "fix.sh"
        script.write_text(self.doctor("--fix", code=2))
        self.assertEqual({problem["check"] for problem in self.problems(code=2)}, {"offloads", "vips", "mtu"},
                         "printing the script changes nothing")
        subprocess.run(["bash", "-n", str(script)], check=True)
        machine = ("/sys/devices/system/cpu", "/proc/irq", "irqbalance", "sysctl")
        lines = [line for line in script.read_text().splitlines() if not any(word in line for word in machine)]
        self.lab.run("lb", "sh", "-c", "\n".join(lines))
        self.assertEqual(self.problems(), [])


class Queues(DoctorTestCase):
    def test_a_queue_without_a_socket(self):
        self.lab = self.enterContext(Lab(queues=2))
        self.configure("snat", queues="0")
        problem = self.only_problem("fail", "queues")
        self.assertEqual(problem["fact"], "eth0: 2 queues, sockets on 0")
        self.assertEqual(problem["consequence"], "1/2 of the VIP traffic bypasses xdplb")
        self.lab.run("lb", "sh", "-c", problem["commands"][0])
        # A veth takes no program while its other end is wider.
        problem = self.only_problem("fail", "driver")
        self.assertIn("accepts no XDP program", problem["consequence"])
        self.lab.run("switch", "ethtool", "-L", "to-lb", "rx", "1", "tx", "1")
        self.assertEqual(self.problems(), [])


class Privileges(DoctorTestCase):
    """A load balancer without one of its capabilities."""

    def without(self, capability, *command):
        return self.lab.run("lb", "setpriv", f"--bounding-set=-{capability}", XDPLB, *command, check=False)

    def test_a_missing_capability_is_named_with_its_cost_and_run_refuses(self):
        self.lab = self.enterContext(Lab())
        self.configure("snat")
        for capability, cost in (("net_raw", "no AF_XDP socket can be made"), ("bpf,-sys_admin", "no program can be loaded")):
            with self.subTest(capability):
                name = f"CAP_{capability.split(',')[0].upper()} is missing"
                done = self.without(capability, "doctor", "--config", str(self.file), "--admin-socket", self.lab.socket)
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertIn(f"FAIL  privileges  {name}: {cost}", done.stdout)
                done = self.without(capability, "run", "--config", str(self.file), "--admin-socket", self.lab.socket,
                                    "--state-directory", str(self.lab.dir / "state"), "--http-listen", "none")
                self.assertEqual(done.returncode, 3, done.stderr)
                self.assertIn(f"{name}: {cost}", done.stderr)
                self.assertIn("setcap", done.stderr)


class BothFamilies(DoctorTestCase):
    def test_tunnels_of_all_four_pairs_of_families_are_probed(self):
        self.lab = self.enterContext(RoutedLab())
        self.lab.decapsulate()
        for vip in (4, 6):
            for family in (4, 6):
                with self.subTest(vip=vip, backend=family):
                    backends = [{"name": node, "address": routed.backend(node, family)} for node in BACKENDS]
                    self.configure(vips=[routed.VIP[vip]], backends=backends)
                    self.assertEqual(self.backend_lines(), ["web: 4 of 4 answer, in the tunnel too"])
        self.lab.run("b1", XDPLB, "decap", "detach", "--interface", "eth0", "--setup")
        lines = self.backend_lines(code=2)
        self.assertEqual(lines[0], "web: 3 of 4 answer, in the tunnel too")
        self.assertIn("web/b1: it rejects tunnels by ICMP", lines[1])

    def backend_lines(self, code=0):
        return [finding["fact"] for finding in self.findings(code=code) if finding["check"] == "backend"]


if __name__ == "__main__":
    unittest.main()
