# SPDX-License-Identifier: Apache-2.0
"""Links that take less than hosts send: transfers find their way, and the ICMP errors that make them."""
import unittest

from routed import FRAGMENTATION_NEEDED, NEXT_MTU, OUTER, VIP, RoutedTest, backend, service

PAIRS = [(4, 4), (4, 6), (6, 4), (6, 6)]
FAMILIES = [4, 6]
TOO_BIG = " or ".join(f"({filter})" for filter in FRAGMENTATION_NEEDED.values())


def too_big(family, mtu):
    """A filter for ICMP errors of a family that tell this MTU."""
    return f"({FRAGMENTATION_NEEDED[family]} and {NEXT_MTU[family]} == {mtu})"


class MTU(RoutedTest):
    def setUp(self):
        super().setUp()
        self.file = self.lab.random_file(10)

    def serve(self, mode, family, outer):
        """One backend: what a transfer learned of a path is not lost on the next one."""
        self.lab.serve(service("web", mode, [family], ["80/tcp", "8080/tcp"], [backend("b1", outer)]))

    def icmp_at_client(self):
        return self.capture("client", "eth0", "in", "icmp or icmp6")

    def assert_too_big(self, capture, family, mtu, source=None):
        """Somebody was told this MTU; `source` is who told it."""
        outermost = {4: "ip.src", 6: "ipv6.src"}[family]
        found = capture.fields(too_big(family, mtu), outermost, NEXT_MTU[family])
        told = capture.fields(TOO_BIG, *NEXT_MTU.values())
        self.assertTrue(found, f"no ICMP error tells {mtu}, but these: {told[:5]}")
        if source is not None:
            # The first address is the ICMP message's, the others are of what it quotes.
            self.assertEqual({addresses.split(",")[0] for addresses, _ in found}, {source})


class ShortLinkToClients(MTU):
    """1 400 bytes between client and load balancer."""

    mtu = {"transit": 1400}

    def download(self, mode, family, outer):
        self.serve(mode, family, outer)
        link = self.capture("core", "to-edge")
        self.lab.download(family, self.file)
        # The router tells the VIP, as the sender of what did not fit, and the load balancer relays it.
        self.assert_too_big(self.sent, family, 1400)
        self.assertGreater(link.count_of("tcp"), 0)
        self.assertEqual(link.lines("frame.len > 1414"), [])

    def upload(self, mode, family, outer):
        self.serve(mode, family, outer)
        icmp = self.icmp_at_client()
        link = self.capture("core", "to-edge")
        self.lab.upload(family, self.file)
        self.assert_too_big(icmp, family, 1400, source={4: "10.1.0.1", 6: "2001:db8:1::1"}[family])
        self.assertEqual(link.lines("frame.len > 1414"), [])

    def test_a_download_in_dsr_completes_as_too_big_is_relayed_to_the_backend(self):
        for family, outer in PAIRS:
            with self.case(vip=family, backend=outer):
                self.download("dsr", family, outer)

    def test_a_download_in_snat_completes_as_too_big_is_translated_for_the_backend(self):
        for family in FAMILIES:
            with self.case(family=family):
                self.download("snat", family, family)

    def test_an_upload_in_dsr_completes(self):
        for family, outer in PAIRS:
            with self.case(vip=family, backend=outer):
                self.upload("dsr", family, outer)

    def test_an_upload_in_snat_completes(self):
        for family in FAMILIES:
            with self.case(family=family):
                self.upload("snat", family, family)


class ShortLinkToBackends(MTU):
    """1 400 bytes between load balancer and backends."""

    mtu = {"fabric": 1400}

    def download(self, mode, family, outer):
        self.serve(mode, family, outer)
        link = self.capture("core", "to-rack")
        self.lab.download(family, self.file)
        if mode == "dsr":
            # The router before the link tells the VIP.
            self.assert_too_big(self.sent, family, 1400)
        self.assertEqual(link.lines("frame.len > 1414"), [])

    def upload(self, mode, family, outer):
        self.serve(mode, family, outer)
        icmp = self.icmp_at_client()
        link = self.capture("core", "to-rack")
        self.lab.upload(family, self.file)
        # In dsr the tunnel did not fit: the client is told what is left inside.
        mtu = 1400 - OUTER[outer] if mode == "dsr" else 1400
        self.assert_too_big(self.sent, family, mtu)
        self.assert_too_big(icmp, family, mtu, source=VIP[family] if mode == "dsr" else None)
        self.assertGreater(link.count_of("tcp"), 0)
        self.assertEqual(link.lines("frame.len > 1414"), [])

    def test_a_download_in_dsr_completes_as_too_big_is_relayed_to_the_backend(self):
        for family, outer in PAIRS:
            with self.case(vip=family, backend=outer):
                self.download("dsr", family, outer)

    def test_a_download_in_snat_completes(self):
        for family in FAMILIES:
            with self.case(family=family):
                self.download("snat", family, family)

    def test_an_upload_in_dsr_completes_as_the_client_hears_of_what_the_tunnel_met(self):
        for family, outer in PAIRS:
            with self.case(vip=family, backend=outer):
                self.upload("dsr", family, outer)

    def test_an_upload_in_snat_completes_as_too_big_is_translated_for_the_client(self):
        for family in FAMILIES:
            with self.case(family=family):
                self.upload("snat", family, family)


class NoRoomForTunnels(MTU):
    """Every link takes 1 500 bytes, so that a full-size packet does not fit a tunnel."""

    mtu = {"lb": 1500, "fabric": 1500, "backends": 1500}

    def test_an_upload_in_dsr_completes_as_the_load_balancer_answers_too_big_from_the_vip(self):
        for family, outer in PAIRS:
            with self.case(vip=family, backend=outer):
                self.serve("dsr", family, outer)
                before = self.lab.drops("too_big")
                icmp = self.icmp_at_client()
                self.lab.upload(family, self.file)
                self.assert_too_big(icmp, family, 1500 - OUTER[outer], source=VIP[family])
                self.assertGreater(self.lab.drops("too_big"), before)

    def test_a_download_in_dsr_completes_without_an_icmp_error(self):
        for family, outer in PAIRS:
            with self.case(vip=family, backend=outer):
                self.serve("dsr", family, outer)
                self.lab.download(family, self.file)
                self.assertEqual(self.sent.lines(TOO_BIG), [])

    def test_transfers_in_snat_need_no_room(self):
        for family in FAMILIES:
            with self.case(family=family):
                self.serve("snat", family, family)
                self.lab.download(family, self.file)
                self.lab.upload(family, self.file)
                self.assertEqual(self.sent.lines(TOO_BIG), [])


if __name__ == "__main__":
    unittest.main()
