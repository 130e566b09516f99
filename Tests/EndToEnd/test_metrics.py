# SPDX-License-Identifier: Apache-2.0
"""The metrics that are served are those that were promised: names, types, HELP texts and labels."""
import unittest

import metrics
from api import TCP, ApiLab
from lab import ROOT, wait_until

CONTRACT = ROOT / "Tests/EndToEnd/metrics-contract.prom"
# Not in this version.
ROUTING_AND_UPGRADE = {"xdplb_vip_announced", "xdplb_bgp_peer_up", "xdplb_upgrades_total", "xdplb_upgrade_pause_seconds"}
ABSENT = ROUTING_AND_UPGRADE
# Beyond what was promised.
MORE = {"xdplb_generated_packets_total"}
# Labels whose values are words of a closed set.
WORDS = ("admin_state", "direction", "family", "health", "owner", "reason", "result", "ring", "state", "verdict")


class Metrics(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = cls.enterClassContext(ApiLab())
        cls.lab.serve()
        cls.lab.requests(500).finish()
        cls.lab.upload(40)

    def served(self):
        return metrics.parse(self.lab.run("lb", "curl", "-sS", "--fail", f"{TCP}/metrics").stdout)

    def value(self, family, **labels):
        """The sum of a family's samples with these labels."""
        return sum(value for _, own, value in self.served()[family].samples if labels.items() <= own.items())

    def test_every_promised_family_is_served_with_its_type_help_and_labels(self):
        promised, served = metrics.parse(CONTRACT.read_text()), self.served()
        self.assertEqual(set(promised) - set(served), ABSENT)
        self.assertEqual(set(served) - set(promised), MORE)
        for name in sorted(set(promised) & set(served)):
            with self.subTest(name):
                wanted, given = promised[name], served[name]
                self.assertEqual((given.type, given.help), (wanted.type, wanted.help))
                self.assertEqual(given.label_names(), wanted.label_names())
                self.assertTrue(given.samples, "without a sample")
                self.assertEqual({suffix for suffix, _, _ in given.samples}, {suffix for suffix, _, _ in wanted.samples})
                for label in WORDS:
                    missing = wanted.label_values(label) - given.label_values(label)
                    self.assertFalse(missing, f"{label}: {missing} of {given.label_values(label)}")
                self.assertFalse(wanted.label_values("le") - given.label_values("le"))

    def test_ports_of_a_pool_are_all_there_in_some_state(self):
        ports = {state: self.value("xdplb_snat_ports", pool="p1", state=state) for state in ("used", "free", "quarantine")}
        self.assertEqual(sum(ports.values()), 1000)
        # Each request was over a connection of its own, which rests now that both sides have closed it.
        busiest = max(b["new_connections"] for b in self.lab.document("/api/v1/services/sink/backends")["backends"])
        self.assertEqual(ports["quarantine"] + ports["used"], busiest)

    def test_chunks_are_all_there_with_some_owner(self):
        self.assertEqual(self.value("xdplb_umem_chunks", queue="0"), 16384)

    def test_the_first_building_of_a_table_is_counted_and_timed(self):
        for service in ("web", "sink"):
            self.assertEqual(self.value("xdplb_maglev_rebuilds_total", service=service), self.count_of_builds(service))
        before = self.count_of_builds("web")
        self.lab.command("backend", "weight", "web/20.1.1.10", "50")
        self.assertEqual(self.count_of_builds("web"), before + 1)
        # What was only tried is not counted.
        self.lab.command("backend", "weight", "web/20.1.1.10", "70", "--dry-run")
        self.assertEqual(self.count_of_builds("web"), before + 1)

    def count_of_builds(self, service):
        samples = self.served()["xdplb_maglev_rebuild_duration_seconds"].samples
        return next(value for suffix, labels, value in samples if suffix == "_count" and labels["service"] == service)

    def test_one_packet_in_1024_is_timed(self):
        before = self.value("xdplb_tx_packets_total")
        self.lab.requests(2000).finish()
        wait_until(lambda: self.value("xdplb_tx_packets_total") > before + 2048, "packets are counted")
        timed = next(value for suffix, _, value in self.served()["xdplb_packet_processing_seconds"].samples
                     if suffix == "_count")
        self.assertAlmostEqual(timed, self.value("xdplb_tx_packets_total") / 1024, delta=2)

    def test_fragments_count_while_they_are_under_way(self):
        # No service takes it, but what is decided on the first piece is kept for the others.
        self.lab.run("client", "bash", "-c", "head -c 3000 /dev/zero >/dev/udp/40.1.1.1/80")
        wait_until(lambda: self.value("xdplb_fragments_pending") > 0, "fragments are counted")


if __name__ == "__main__":
    unittest.main()
