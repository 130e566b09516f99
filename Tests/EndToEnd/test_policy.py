# SPDX-License-Identifier: Apache-2.0
"""Who is served, and at which ports."""
import sys
import unittest

from lab import BACKENDS, ROOT, wait_until
from routed import CLIENT, RoutedTest, backend, service

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


if __name__ == "__main__":
    unittest.main()
