# SPDX-License-Identifier: Apache-2.0
"""Who is served, and at which ports."""
import sys
import unittest

from lab import BACKENDS, ROOT, url_host, wait_until
from routed import CLIENT, LOAD_BALANCER, RoutedTest, backend, service

FAMILIES = (4, 6)
# A second address of the client.
OUTSIDE = {4: "10.1.0.101", 6: "2001:db8:1::101"}
TIMED_OUT = 28


class SourceRanges(RoutedTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.lab.run("client", "ip", "address", "add", f"{OUTSIDE[4]}/24", "dev", "eth0")
        # Deprecated, or it might be chosen where the test says nothing.
        cls.lab.run("client", "ip", "address", "add", f"{OUTSIDE[6]}/64", "dev", "eth0", "nodad", "preferred_lft", "0")

    def ask(self, family, source):
        return self.lab.curl(family, "name", "--interface", source, seconds=1, check=False)

    def test_a_client_outside_gets_nothing_and_one_inside_is_served(self):
        for mode in ("dsr", "snat"):
            for family in FAMILIES:
                with self.case(mode=mode, family=family):
                    self.lab.serve(service("web", mode, [family], ["80/tcp"], [backend(node, family) for node in BACKENDS],
                                           source_ranges=[f"{CLIENT[family]}/{32 if family == 4 else 128}"]))
                    answers = self.capture("client", "eth0", "in", f"host {OUTSIDE[family]} and not arp and not icmp6")
                    for _ in range(8):
                        self.assertIn(self.ask(family, CLIENT[family]).stdout.strip(), BACKENDS)
                    self.assertEqual(self.lab.drops("policy"), 0)
                    self.assertEqual(self.ask(family, OUTSIDE[family]).returncode, TIMED_OUT)
                    self.assertGreater(self.lab.drops("policy"), 0)
                    self.assertEqual(answers.lines("frame"), [])
                    self.assertEqual(self.sent.count_of(f"{'ip' if family == 4 else 'ipv6'}.addr == {OUTSIDE[family]}"), 0)


class Ports(RoutedTest):
    def test_a_range_of_ports_is_served_and_its_neighbours_are_not(self):
        for port in (7999, 8000, 8050, 8099, 8100):
            self.lab.spawn("b1", sys.executable, str(ROOT / "Tests/EndToEnd/sink.py"), str(port))
            wait_until(lambda: f":{port} " in self.lab.run("b1", "ss", "-Hltn").stdout, f"port {port} listens")
        for family in FAMILIES:
            with self.case(family=family):
                self.lab.serve(service("web", "dsr", [family], ["8000-8099/tcp"], [backend("b1", family)]))
                for port in (8000, 8050, 8099):
                    self.assertEqual(self.lab.curl(family, "", port=port, seconds=5).stdout, "ok\n")
                for port in (7999, 8100):
                    self.assertNotEqual(self.lab.curl(family, "", port=port, seconds=1, check=False).returncode, 0)


class Prefixes(RoutedTest):
    def test_every_address_of_a_vip_prefix_is_served_and_others_are_not(self):
        prefixes = {4: "203.0.113.0/28", 6: "2001:db8:f::/64"}
        inside = {4: ["203.0.113.1", "203.0.113.10", "203.0.113.14"], 6: ["2001:db8:f::1", "2001:db8:f:0:ffff::1"]}
        outside = {4: "203.0.113.17", 6: "2001:db8:f:1::1"}
        for family in FAMILIES:
            for network in (prefixes[family], outside[family]):
                self.lab.run("core", "ip", "route", "add", network, "via", LOAD_BALANCER[family])
            # What is not served the load balancer's kernel would send back to the router.
            self.lab.run("lb", "ip", "route", "add", "blackhole", outside[family])
            with self.case(family=family):
                web = service("web", "snat", [], ["80/tcp"], [backend(node, family) for node in BACKENDS])
                self.lab.serve({**web, "vips": [prefixes[family]]})
                for vip in inside[family]:
                    done = self.lab.run("client", "curl", "-sS", "--fail", "-m", "5", f"http://{url_host(vip)}/name")
                    self.assertIn(done.stdout.strip(), BACKENDS)
                done = self.lab.run("client", "curl", "-s", "-m", "1", f"http://{url_host(outside[family])}/name", check=False)
                self.assertEqual(done.returncode, TIMED_OUT)


if __name__ == "__main__":
    unittest.main()
