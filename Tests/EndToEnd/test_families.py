# SPDX-License-Identifier: Apache-2.0
"""HTTP over IPv4 and IPv6, in all pairs of what a client speaks and what a backend has."""
import unittest

from lab import BACKENDS
from routed import POOL, VIP, RoutedTest, backend, service

# The display filter of a tunnel, by inner and outer family.
TUNNEL = {(4, 4): "ip.proto == 4", (6, 4): "ip.proto == 41", (4, 6): "ipv6.nxt == 4", (6, 6): "ipv6.nxt == 41"}
# So many draws miss one of four backends once in 10¹¹ runs.
DRAWS = 100


def web(mode, vips, addresses):
    """A service for nginx and the sink."""
    return service("web", mode, vips, ["80/tcp", "8080/tcp"], addresses)


class Families(RoutedTest):
    def setUp(self):
        super().setUp()
        self.file = self.lab.dir / "100-kilobytes"
        if not self.file.exists():
            self.file.write_bytes(self.lab.random_file(1).read_bytes()[:100 << 10])

    def reach_all(self, family, nodes):
        """Downloads, until every backend has given the file, and uploads."""
        left = set(nodes)
        for _ in range(DRAWS):
            answered = self.lab.download(family, self.file)
            self.assertIn(answered, nodes)
            left.discard(answered)
            if not left:
                break
        self.assertEqual(left, set(), f"never reached in {DRAWS} requests")
        for _ in range(8):
            self.lab.upload(family, self.file)

    def reach_in_dsr(self, inner, outer):
        self.lab.serve(web("dsr", [inner], [backend(node, outer) for node in BACKENDS]))
        self.reach_all(inner, BACKENDS)
        for pair, filter in TUNNEL.items():
            seen = self.sent.count_of(filter)
            if pair == (inner, outer):
                self.assertGreater(seen, 0, filter)
            else:
                self.assertEqual(seen, 0, filter)

    def test_an_ipv4_vip_reaches_ipv4_backends_in_dsr(self):
        self.reach_in_dsr(4, 4)

    def test_an_ipv4_vip_reaches_ipv6_backends_in_dsr(self):
        self.reach_in_dsr(4, 6)

    def test_an_ipv6_vip_reaches_ipv4_backends_in_dsr(self):
        self.reach_in_dsr(6, 4)

    def test_an_ipv6_vip_reaches_ipv6_backends_in_dsr(self):
        self.reach_in_dsr(6, 6)

    def test_one_dsr_service_has_vips_and_backends_of_both_families(self):
        mixed = [backend("b1", 4), backend("b2", 4), backend("b3", 6), backend("b4", 6)]
        self.lab.serve(web("dsr", [4, 6], mixed))
        self.reach_all(4, BACKENDS)
        self.reach_all(6, BACKENDS)
        for pair, filter in TUNNEL.items():
            self.assertGreater(self.sent.count_of(filter), 0, pair)

    def balance_in_snat(self, family):
        self.lab.serve(web("snat", [family], [backend(node, family) for node in BACKENDS]))
        self.reach_all(family, BACKENDS)
        for _ in range(8):
            seen = self.lab.curl(family, "client").stdout.strip()
            self.assertEqual(seen, POOL[family], "nginx sees the pool's address")
        # Clients hear from the VIP alone, backends from the pool alone.
        name = {4: "ip", 6: "ipv6"}[family]
        sources = {source for source, in self.sent.fields("tcp", f"{name}.src")}
        self.assertEqual(sources, {POOL[family], VIP[family]})

    def test_ipv4_snat_shows_backends_the_address_of_the_pool(self):
        self.balance_in_snat(4)

    def test_ipv6_snat_shows_backends_the_address_of_the_pool(self):
        self.balance_in_snat(6)


class MergedOnArrival(RoutedTest):
    """Backends whose kernel makes large packets of tunnels before it looks into them (GRO)."""

    HOLD = """
        ethtool -K eth0 gro on
        echo 300000 >/sys/class/net/eth0/gro_flush_timeout
        echo 20 >/sys/class/net/eth0/napi_defer_hard_irqs
    """

    def test_merged_tunnels_are_taken_apart_as_well(self):
        file = self.lab.random_file(10)
        # One that decapsulates before that, and one after it.
        for node in ("b1", "b2"):
            self.lab.run(node, "sh", "-ec", self.HOLD)
            for inner, outer in TUNNEL:
                with self.case(node=node, vip=inner, backend=outer):
                    self.lab.serve(web("dsr", [inner], [backend(node, outer)]))
                    seen = self.capture(node, "eth0", "in")
                    self.lab.upload(inner, file)
                    self.assertEqual(self.lab.download(inner, file), node)
                    self.assertGreater(seen.count_of("frame.len > 3000"), 0, "nothing was merged")


if __name__ == "__main__":
    unittest.main()
