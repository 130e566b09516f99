# SPDX-License-Identifier: Apache-2.0
"""Decapsulation on a backend, without a load balancer: tunnels made by hand."""
import json
import unittest

from lab import VIP, XDPLB, Lab, wait_until

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


if __name__ == "__main__":
    unittest.main()
