# SPDX-License-Identifier: Apache-2.0
"""Datagrams that no link takes in one piece."""
import pathlib
import unittest

from lab import BACKENDS, wait_until
from routed import VIP, RoutedTest, backend, service

SIZE, COUNT, PORT = 65_000, 20, 5353
ECHO = pathlib.Path(__file__).with_name("echo.py")


class Fragments(RoutedTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for node in BACKENDS:
            addresses = [*VIP.values(), backend(node, 4), backend(node, 6)]
            cls.lab.spawn(node, "python3", str(ECHO), "serve", str(PORT), *addresses)
            wait_until(lambda: cls.lab.run(node, "ss", "-Hlun").stdout.count(f":{PORT} ") == 4, f"{node} listens")

    def serve(self, mode, family, outer, ports):
        self.lab.serve(service("dns", mode, [family], ports, [backend(node, outer) for node in BACKENDS]))

    def ask(self, family, size):
        done = self.lab.run("client", "python3", str(ECHO), "ask", VIP[family], str(PORT), str(size), str(COUNT))
        self.assertEqual(done.stdout.splitlines(), ["echoed"] * COUNT)

    def fragments_sent(self):
        return self.sent.count_of("ip.flags.mf == 1 or ip.frag_offset > 0 or ipv6.fraghdr.offset >= 0")

    def exchange(self, mode, family, outer, ports):
        self.serve(mode, family, outer, ports)
        # One of the usual size first: what goes wrong without fragments is not theirs.
        self.ask(family, 1000)
        self.ask(family, SIZE)
        self.assertGreater(self.fragments_sent(), COUNT * SIZE // 1500)

    def test_large_datagrams_are_echoed_in_dsr(self):
        for family, outer in [(4, 4), (4, 6), (6, 4), (6, 6)]:
            with self.case(vip=family, backend=outer):
                self.exchange("dsr", family, outer, ["any/udp"])

    def test_large_datagrams_are_echoed_in_snat(self):
        for family in (4, 6):
            with self.case(family=family):
                self.exchange("snat", family, family, [f"{PORT}/udp"])

    def test_a_range_of_ports_takes_fragments_as_well(self):
        for family in (4, 6):
            with self.case(family=family):
                self.exchange("dsr", family, family, [f"{PORT - 10}-{PORT + 10}/udp"])

    def test_fragments_are_dropped_where_the_configuration_says_so(self):
        for family in (4, 6):
            with self.case(family=family):
                self.lab.serve(service("dns", "dsr", [family], ["any/udp"], [backend("b1", family)]),
                               connections={"entries_per_worker": 65536, "fragments": "drop"})
                self.ask(family, 1000)
                before = self.lab.drops("fragment")
                # One datagram: nobody waits for more that do not come.
                done = self.lab.run("client", "python3", str(ECHO), "ask", VIP[family], str(PORT), str(SIZE), "1")
                self.assertIn("no answer", done.stdout)
                self.assertGreater(self.lab.drops("fragment"), before)
                self.assertEqual(self.fragments_sent(), 0)


class FragmentsOverTwoQueues(Fragments):
    queues = 2

    def test_replies_in_fragments_reach_the_worker_of_their_connection(self):
        for family in (4, 6):
            with self.case(family=family):
                self.exchange("snat", family, family, [f"{PORT}/udp"])
                self.assertGreater(self.lab.handed_off(), 0)


if __name__ == "__main__":
    unittest.main()
