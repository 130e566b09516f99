# SPDX-License-Identifier: Apache-2.0
"""Decapsulation on a backend, without a load balancer: tunnels made by hand."""
import json
import unittest

import frames
import routed
from lab import VIP, XDPLB, Lab, wait_until
from routed import RoutedLab

FAMILIES = (4, 6)
PAIRS = [(4, 4), (4, 6), (6, 4), (6, 6)]

# Sends one UDP datagram inside IP-in-IP: inner to ADDRESS:9999 from 10.0.0.9, outer to 20.1.1.10.
TUNNEL = """if True:
    import socket, struct, sys
    def header(protocol, source, destination, length):
        fields = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + length, 0, 0x4000, 64, protocol, 0,
                             socket.inet_aton(source), socket.inet_aton(destination))
        total = sum(struct.unpack("!10H", fields))
        total = (total & 0xffff) + (total >> 16)
        return fields[:10] + struct.pack("!H", ~(total + (total >> 16)) & 0xffff) + fields[12:]
    source, inner, text = sys.argv[1:]
    udp = struct.pack("!HHHH", 4444, 9999, 8 + len(text), 0) + text.encode()
    packet = header(17, "10.0.0.9", inner, len(udp)) + udp
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    raw.sendto(header(4, source, "20.1.1.10", len(packet)) + packet, ("20.1.1.10", 0))
"""

LISTEN = """if True:
    import socket
    listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listener.bind(("0.0.0.0", 9999))
    while True:
        print(listener.recv(2048).decode(), flush=True)
"""


class Decapsulation(unittest.TestCase):
    def setUp(self):
        self.lab = self.enterContext(Lab())
        # Replies to 10.0.0.9 have somewhere to go, or reverse-path filters would decide the test.
        self.lab.run("b1", "ip", "route", "add", "10.0.0.0/24", "via", "20.1.1.100")
        self.log = open(self.lab.dir / "heard", "w+")
        self.addCleanup(self.log.close)
        self.lab.spawn("b1", "python3", "-c", LISTEN, stdout=self.log)
        wait_until(lambda: ":9999" in self.lab.run("b1", "ss", "-Hlun").stdout, "the listener listens")

    def decap(self, *arguments, check=True):
        return self.lab.run("b1", XDPLB, "decap", *arguments, "--interface", "eth0", check=check)

    def attach(self, mode, *more):
        return self.decap("attach", "--vip", VIP, "--trust", "20.1.1.1/32", "--mode", mode, "--setup", *more)

    def status(self):
        return json.loads(self.decap("status", "-o", "json").stdout)

    def counter(self, name):
        return self.status()["counters"][name]

    def heard(self):
        return (self.lab.dir / "heard").read_text().split()

    def tunnel(self, node, source, text, inner=VIP):
        self.lab.run(node, "python3", "-c", TUNNEL, source, inner, text)

    def test_only_trusted_tunnels_for_a_vip_are_taken_apart(self):
        for mode in ("xdp", "tc"):
            with self.subTest(mode):
                self.attach(mode)
                self.tunnel("client", "20.1.1.100", f"untrusted-{mode}")
                wait_until(lambda: self.counter("untrusted") == 1, "the untrusted tunnel is counted")
                self.tunnel("lb", "20.1.1.1", f"other-{mode}", inner="40.1.1.2")
                wait_until(lambda: self.counter("not_vip") == 1, "the tunnel for another address is counted")
                self.tunnel("lb", "20.1.1.1", f"trusted-{mode}")
                wait_until(lambda: f"trusted-{mode}" in self.heard(), "the trusted tunnel's datagram arrives")
                self.assertEqual(self.counter("decapsulated"), 1)
                self.assertNotIn(f"untrusted-{mode}", self.heard())
                self.decap("detach")
                self.assertFalse(self.status()["attached"])

    def test_attaching_again_replaces_vips_and_trust_and_keeps_counting(self):
        for mode in ("xdp", "tc"):
            with self.subTest(mode):
                self.attach(mode)
                self.tunnel("lb", "20.1.1.1", f"first-{mode}")
                wait_until(lambda: self.counter("decapsulated") == 1, "the first tunnel is counted")
                self.attach(mode, "--vip", "40.1.1.3", "--trust", "20.1.1.100")
                status = self.status()
                self.assertEqual(status["vips"], [VIP, "40.1.1.3"])
                self.assertEqual(status["trusted"], ["20.1.1.1/32", "20.1.1.100/32"])
                self.assertEqual(status["counters"]["decapsulated"], 1)
                self.tunnel("client", "20.1.1.100", f"second-{mode}")
                wait_until(lambda: f"second-{mode}" in self.heard(), "the newly trusted tunnel arrives")
                self.decap("detach", "--setup")

    def test_changing_the_mode_leaves_one_program(self):
        self.attach("tc")
        self.attach("xdp")
        self.assertEqual(self.status()["mode"], "xdp")
        self.assertNotIn("xdplb_decap", self.lab.run("b1", "tc", "filter", "show", "dev", "eth0", "ingress").stdout)
        self.decap("detach")

    def test_somebody_elses_program_is_neither_replaced_nor_removed(self):
        self.lab.run("lb", "ip", "link", "show")  # the lab is up
        split = self.lab.dir / "other.o"
        source = self.lab.dir / "other.bpf.c"
        source.write_text('#include <linux/bpf.h>\n#include <bpf/bpf_helpers.h>\nSEC("xdp") int other(struct xdp_md *c) '
                          '{ return XDP_PASS; }\nchar _license[] SEC("license") = "GPL";\n')
        self.lab.compile_bpf(source, split)
        self.lab.run("b1", "ip", "link", "set", "dev", "eth0", "xdpdrv", "obj", str(split), "sec", "xdp")
        refused = self.decap("attach", "--vip", VIP, "--trust", "20.1.1.1/32", "--mode", "xdp", check=False)
        self.assertEqual(refused.returncode, 3)
        self.assertIn("'other'", refused.stderr)
        self.assertIn("--mode tc", refused.stderr)
        refused = self.decap("detach", check=False)
        self.assertEqual(refused.returncode, 3)
        self.assertIn("is not ours and stays", refused.stderr)
        link = json.loads(self.lab.run("b1", "ip", "-json", "link", "show", "dev", "eth0").stdout)[0]
        self.assertIn("xdp", link)


# Sends a packet inside a tunnel whose outer header the kernel makes.
TUNNEL_TO = """if True:
    import socket, sys
    address, protocol, packet = sys.argv[1], int(sys.argv[2]), bytes.fromhex(sys.argv[3])
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    socket.socket(family, socket.SOCK_RAW, protocol).sendto(packet, (address, 0))
"""

LISTEN_6 = LISTEN.replace("AF_INET,", "AF_INET6,").replace("0.0.0.0", "::")


class DecapsulationOfBothFamilies(unittest.TestCase):
    def setUp(self):
        self.lab = self.enterContext(RoutedLab())
        self.log = self.lab.dir / "heard"
        with open(self.log, "w") as log:
            # IPv4 as well: the socket of `::` takes both.
            self.lab.spawn("b1", "python3", "-c", LISTEN_6, stdout=log)
        wait_until(lambda: ":9999" in self.lab.run("b1", "ss", "-Hlun").stdout, "the listener listens")

    def decap(self, *arguments):
        return self.lab.run("b1", XDPLB, "decap", *arguments, "--interface", "eth0").stdout

    def attach(self, mode, *trusted):
        vips = [item for family in FAMILIES for item in ("--vip", routed.VIP[family])]
        self.decap("attach", *vips, *(item for prefix in trusted for item in ("--trust", prefix)), "--mode", mode, "--setup")

    def status(self):
        return json.loads(self.decap("status", "-o", "json"))

    def counter(self, name):
        return self.status()["counters"][name]

    def tunnel(self, node, outer, addresses, text):
        inner = 4 if len(addresses[0]) == 4 else 6
        packet = frames.ip(addresses, 17, frames.udp(addresses, text.encode(), port=9999))
        self.lab.run(node, "python3", "-c", TUNNEL_TO, routed.backend("b1", outer), "4" if inner == 4 else "41", packet.hex())

    def to_vip(self, inner):
        return frames.packed(routed.CLIENT[inner], routed.VIP[inner])

    def test_tunnels_of_all_four_pairs_of_families_are_taken_apart(self):
        for mode in ("xdp", "tc"):
            self.attach(mode, *(f"{address}" for address in routed.LOAD_BALANCER.values()))
            for outer, inner in PAIRS:
                with self.subTest(mode=mode, outer=outer, inner=inner):
                    # Long enough to be full-size with its headers, and as short as one gets.
                    for text in (f"{mode}-{outer}-{inner}-{'x' * 1400}", f"{mode}{outer}{inner}"):
                        before = self.counter("decapsulated")
                        self.tunnel("lb", outer, self.to_vip(inner), text)
                        wait_until(lambda: text in self.log.read_text().split(), "the datagram arrives")
                        self.assertEqual(self.counter("decapsulated") - before, 1)
            self.decap("detach", "--setup")

    def test_untrusted_tunnels_and_those_for_others_are_left_alone(self):
        for mode in ("xdp", "tc"):
            self.attach(mode, *(f"{address}" for address in routed.LOAD_BALANCER.values()))
            for outer, inner in PAIRS:
                with self.subTest(mode=mode, outer=outer, inner=inner):
                    before = self.status()["counters"]
                    self.tunnel("client", outer, self.to_vip(inner), "untrusted")
                    wait_until(lambda: self.counter("untrusted") == before["untrusted"] + 1, "untrusted is counted")
                    self.tunnel("lb", outer, frames.packed(routed.CLIENT[inner], routed.POOL[inner]), "for-another")
                    wait_until(lambda: self.counter("not_vip") == before["not_vip"] + 1, "another address is counted")
                    self.assertEqual(self.counter("decapsulated"), before["decapsulated"])
            self.assertEqual(self.log.read_text(), "")
            self.decap("detach", "--setup")

    def test_a_prefix_trusts_its_own_family_only(self):
        for trusted, other in (("::/0", 4), ("0.0.0.0/0", 6)):
            with self.subTest(trusted):
                self.attach("tc", trusted)
                self.assertEqual(self.status()["trusted"], [trusted])
                before = self.status()["counters"]
                self.tunnel("lb", other, self.to_vip(4), "untrusted")
                wait_until(lambda: self.counter("untrusted") == before["untrusted"] + 1, "untrusted is counted")
                own = 10 - other
                self.tunnel("lb", own, self.to_vip(4), f"trusted-{own}")
                wait_until(lambda: f"trusted-{own}" in self.log.read_text().split(), "the trusted one arrives")

    def test_without_trust_the_networks_of_the_interface_are_trusted(self):
        self.attach("tc")
        status = self.status()
        self.assertEqual(status["trusted"], ["10.5.0.0/24", "2001:db8:5::/64"])
        self.assertEqual(status["vips"], sorted(routed.VIP.values(), reverse=True))

    def test_setup_puts_vips_of_both_families_on_lo_and_detach_takes_them_off(self):
        self.attach("tc")
        lo = self.lab.run("b1", "ip", "-br", "address", "show", "lo").stdout
        self.assertIn(f"{routed.VIP[4]}/32", lo)
        self.assertIn(f"{routed.VIP[6]}/128", lo)
        # A neighbour that asks for them hears nothing.
        for family, vip in routed.VIP.items():
            self.lab.run("rack", "ip", "route", "add", vip, "dev", "rack")
            self.lab.run("rack", "ping", "-c", "1", "-W", "1", vip, check=False)
            known = self.lab.run("rack", "ip", f"-{family}", "neigh", "show", vip, "dev", "rack").stdout
            self.assertNotIn("lladdr", known)
        self.decap("detach", "--setup")
        lo = self.lab.run("b1", "ip", "-br", "address", "show", "lo").stdout
        for vip in routed.VIP.values():
            self.assertNotIn(vip, lo)


if __name__ == "__main__":
    unittest.main()
