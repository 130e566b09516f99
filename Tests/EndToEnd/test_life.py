# SPDX-License-Identifier: Apache-2.0
"""Starting, stopping and dying: the host's own traffic goes on, and nothing is left behind."""
import json
import signal
import socket
import subprocess
import time
import unittest

from lab import VIP, WEB, XDPLB, Lab, backends, wait_until


def programs():
    """Our programs in the kernel, whoever holds them."""
    listed = json.loads(subprocess.run(["bpftool", "-j", "prog", "list"], check=True, stdout=subprocess.PIPE).stdout)
    return {program["id"] for program in listed if program.get("name") == "xdplb_steer"}


class Life(unittest.TestCase):
    def setUp(self):
        self.before = programs()
        self.lab = self.enterContext(Lab())

    def is_attached(self):
        link = json.loads(self.lab.run("lb", "ip", "-json", "link", "show", "dev", "eth0").stdout)[0]
        return "xdp" in link

    def test_sigterm_and_sigint_leave_nothing_attached_and_exit_0(self):
        for name in ("TERM", "INT"):
            self.lab.start("snat")
            self.assertTrue(self.is_attached())
            self.assertEqual(self.lab.stop(name), 0)
            self.assertFalse(self.is_attached())
            self.assertEqual(programs(), self.before)

    def test_a_second_signal_waits_for_nobody_and_leaves_nothing_attached(self):
        for first, second in (("TERM", "TERM"), ("INT", "INT"), ("TERM", "INT")):
            self.lab.start("snat")
            # A capture whose reader hangs: the first signal gives it some seconds for the rest.
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(self.lab.socket)
                client.sendall(b"POST /api/v1/capture HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
                self.assertTrue(client.recv(1).startswith(b"H"))
                self.lab.run("client", "curl", "-sS", "-m", "60", "-o", "/dev/null", "-T", str(self.lab.random_file(10)),
                             f"http://{VIP}:8080/")
                self.lab.daemon.send_signal(getattr(signal, f"SIG{first}"))
                wait_until(lambda: not self.lab.is_answering(), "it takes no more requests")
                self.assertIsNone(self.lab.daemon.poll())
                began = time.monotonic()
                self.assertEqual(self.lab.stop(second), 0)
                self.assertLess(time.monotonic() - began, 1)
            self.assertFalse(self.is_attached())
            self.assertEqual(programs(), self.before)
            self.assertIn("at once, at the second signal", (self.lab.dir / "xdplb.log").read_text())

    def test_kill_9_under_load_leaves_the_hosts_own_traffic_alone_and_the_next_start_serves(self):
        lab = self.lab
        # Traffic to the load balancer's own address, as SSH would be: one connection, held open.
        lab.spawn("lb", "python3", "-c", """if True:
            import socket
            server = socket.create_server(("20.1.1.1", 2222))
            while True:
                peer, _ = server.accept()
                while data := peer.recv(4096):
                    peer.sendall(data)
        """)
        wait_until(lambda: "2222" in lab.run("lb", "ss", "-Hltn").stdout, "the host's own server listens")
        shell = subprocess.Popen(lab.in_node("client", "python3", "-c", """if True:
            import socket, sys
            peer = socket.create_connection(("20.1.1.1", 2222), 5)
            for line in sys.stdin:
                peer.sendall(line.encode())
                print(peer.recv(4096).decode(), end="", flush=True)
        """), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        lab.processes.append(shell)

        def echo(text):
            shell.stdin.write(text + "\n")
            shell.stdin.flush()
            self.assertEqual(shell.stdout.readline(), text + "\n")

        echo("before the start")
        lab.start("snat")
        echo("while it serves")
        burst = lab.requests(4000)
        wait_until(lambda: len(burst.answers()) > 200, "the burst is running")
        self.assertEqual(lab.stop("KILL"), -9)
        echo("after its death")
        self.assertFalse(self.is_attached(), "the kernel takes the program off")
        burst.process.kill()
        burst.process.wait()
        lab.start("snat")
        echo("after the next start")
        lab.requests(200).finish()
        self.assertEqual(lab.stop(), 0)
        echo("after the stop")
        self.assertEqual(programs(), self.before)
        shell.stdin.close()
        self.assertEqual(shell.wait(5), 0)
        shell.stdout.close()

    def test_a_second_instance_is_refused_by_name_and_harms_nothing(self):
        lab = self.lab
        first = lab.start("snat")
        burst = lab.requests(1000)
        second = lab.run("lb", XDPLB, "run", "--interface", "eth0", "--mode", "snat", "--service", f"{WEB}={backends(80)}",
                         "--admin-socket", lab.socket + ".second", "--state-directory", str(lab.dir / "state"),
                         "--http-listen", "none", check=False)
        self.assertEqual(second.returncode, 3, second.stderr)
        self.assertIn("xdplb_steer", second.stderr)
        self.assertIn(str(self.daemon_pid(first)), second.stderr)
        burst.finish()
        lab.requests(100).finish()

    def daemon_pid(self, process):
        """ip netns exec replaces itself by the command."""
        return process.pid

    def test_a_second_instance_on_the_admin_socket_is_refused_and_detaches(self):
        lab = self.lab
        lab.start("snat")
        # Another interface is free, so only the socket is taken.
        lab.run("lb", "ip", "link", "add", "spare0", "type", "veth", "peer", "name", "spare1")
        lab.run("lb", "ip", "link", "set", "spare0", "up")
        second = lab.run("lb", XDPLB, "run", "--interface", "spare0", "--mode", "dsr", "--admin-socket", lab.socket,
                         "--state-directory", str(lab.dir / "state"), "--http-listen", "none", check=False)
        self.assertEqual(second.returncode, 3, second.stderr)
        self.assertIn(lab.socket, second.stderr)
        self.assertEqual(len(programs() - self.before), 1)
        lab.requests(50).finish()

    def test_a_stale_admin_socket_is_taken_over(self):
        self.lab.start("snat")
        self.lab.stop("KILL")
        self.lab.start("snat")
        self.assertEqual(self.lab.stop(), 0)

    def test_a_vip_that_is_an_address_of_the_interface_is_refused(self):
        self.lab.run("lb", "ip", "address", "add", f"{VIP}/32", "dev", "eth0")
        refused = self.lab.run("lb", XDPLB, "run", "--interface", "eth0", "--service", f"{WEB}={backends(80)}",
                               "--admin-socket", self.lab.socket, "--http-listen", "none", check=False)
        self.assertEqual(refused.returncode, 3)
        self.assertIn("VIP 40.1.1.1 is an address of this host", refused.stderr)
        self.assertFalse(self.is_attached())

    def test_forced_zero_copy_on_veth_is_refused_and_says_what_to_do(self):
        config = self.lab.dir / "zerocopy.yaml"
        config.write_text("version: 1\ninterfaces: [{name: eth0, bind_mode: zerocopy}]\n")
        refused = self.lab.run("lb", XDPLB, "run", "--config", str(config), "--admin-socket", self.lab.socket, check=False)
        self.assertEqual(refused.returncode, 3)
        self.assertIn("EOPNOTSUPP", refused.stderr)
        self.assertIn("bind_mode: auto", refused.stderr)
        self.assertFalse(self.is_attached())

    def test_a_cold_neighbour_delays_the_first_packet_and_loses_none(self):
        self.lab.start("snat")
        self.lab.run("lb", "ip", "neigh", "flush", "all")
        self.assertEqual(sum(self.lab.requests(100).finish().values()), 100)

    def test_a_silent_backend_is_left_out_and_comes_back(self):
        lab = self.lab
        lab.start("snat")
        lab.run("b4", "ip", "link", "set", "eth0", "down")
        lab.run("lb", "ip", "neigh", "flush", "all")

        def eligible():
            return {b["name"]: b["eligible"] for b in lab.json("backend", "list", WEB)["backends"]}["20.1.1.40:80"]
        wait_until(lambda: not eligible(), "the silent backend is not eligible", 30)
        self.assertEqual(lab.requests(300).finish()["b4"], 0)
        lab.run("b4", "ip", "link", "set", "eth0", "up")
        wait_until(eligible, "the backend is eligible again", 30)
        self.assertGreater(lab.requests(300).finish()["b4"], 0)

    def test_metrics_are_as_prometheus_wants_them_and_nothing_changes_over_tcp(self):
        lab = self.lab
        lab.start("snat")
        lab.requests(200).finish()
        metrics = lab.run("lb", "curl", "-sS", "--fail", "http://127.0.0.1:9660/metrics").stdout
        checked = subprocess.run(["promtool", "check", "metrics"], input=metrics, text=True, stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT)
        self.assertEqual((checked.returncode, checked.stdout), (0, ""))
        self.assertIn('xdplb_service_connections_total{service="40.1.1.1:80/tcp"} 200\n', metrics)
        for method in ("PUT", "DELETE", "PATCH", "POST"):
            code = lab.run("lb", "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-X", method,
                           "http://127.0.0.1:9660/api/v1/services/x").stdout
            self.assertEqual(code, "405")
        self.assertEqual(lab.run("lb", "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}",
                                 "http://127.0.0.1:9660/api/v1/connections").stdout, "404")
        for path in ("healthz", "readyz"):
            self.assertEqual(lab.run("lb", "curl", "-sS", "--fail", f"http://127.0.0.1:9660/{path}").stdout, "ok\n")

    def test_a_gateway_in_front_of_the_backends_is_followed(self):
        """b1 becomes the gateway of a network behind it, with a backend that only it reaches."""
        lab = self.lab
        lab.run("b1", "sysctl", "-qw", "net.ipv4.ip_forward=1")
        lab.run("b1", "ip", "address", "add", "10.9.9.9/32", "dev", "lo")
        lab.run("lb", "ip", "route", "add", "10.9.9.0/24", "via", "20.1.1.10")
        lab.start("snat", services=[f"{WEB}=10.9.9.9:80"])
        self.assertEqual(lab.requests(50).finish()["b1"], 50)
        self.assertEqual(lab.json("backend", "list")["backends"][0]["next_hop"], "20.1.1.10")

    def test_a_client_behind_a_gateway_gets_its_snat_replies(self):
        lab = self.lab
        lab.run("b4", "sysctl", "-qw", "net.ipv4.ip_forward=1")
        lab.run("client", "ip", "address", "add", "10.8.8.8/32", "dev", "lo")
        lab.run("client", "ip", "route", "replace", VIP, "via", "20.1.1.1", "src", "10.8.8.8")
        lab.run("lb", "ip", "route", "add", "10.8.8.0/24", "via", "20.1.1.40")
        lab.run("b4", "ip", "route", "add", "10.8.8.0/24", "via", "20.1.1.100")
        lab.start("snat", services=[f"{WEB}={backends(80, 'b1')}"])
        self.assertEqual(lab.requests(50).finish()["b1"], 50)


if __name__ == "__main__":
    unittest.main()
