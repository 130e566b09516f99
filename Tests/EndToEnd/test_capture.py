# SPDX-License-Identifier: Apache-2.0
"""The check of captures itself: hand-made frames, sound ones and one of each fault."""
import pathlib
import struct
import tempfile
import unittest

from capture import faults
from frames import checksum, echo, echo6, frame, ip, packed, pseudo, put, tcp, udp, unreachable, unreachable6

V4 = packed("192.0.2.1", "203.0.113.10")
V6 = packed("2001:db8::1", "2001:db8:f::10")


class CheckingCaptures(unittest.TestCase):
    def faults(self, *packets):
        with tempfile.TemporaryDirectory() as directory:
            path = pathlib.Path(directory) / "frames.pcap"
            with open(path, "wb") as file:
                file.write(struct.pack("=IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
                for number, packet in enumerate(packets):
                    data = frame(packet)
                    file.write(struct.pack("=IIII", number, 0, len(data), len(data)) + data)
            return len(faults(path))

    def test_sound_frames_have_no_fault(self):
        long = udp(V4, b"x" * 2000)
        self.assertEqual(self.faults(
            ip(V4, 17, udp(V4)), ip(V4, 17, put(udp(V4), 6, 0)), ip(V6, 17, udp(V6)), ip(V4, 6, tcp(V4)), ip(V6, 6, tcp(V6)), ip(V4, 1, echo()),
            ip(V6, 58, echo6(V6)), ip(V4, 4, ip(V4, 6, tcp(V4))), ip(V6, 4, ip(V4, 6, tcp(V4))),
            ip(V4, 41, ip(V6, 6, tcp(V6))), ip(V4, 17, long[:1024], 0x2000), ip(V4, 17, long[1024:], 128)), 0)

    def test_a_bad_checksum_is_found_at_every_layer_in_and_out_of_tunnels(self):
        long = udp(V4, b"x" * 2000, fault=True)
        for name, packets in {
            "IPv4": [ip(V4, 17, udp(V4), fault=True)],
            "UDP": [ip(V4, 17, udp(V4, fault=True))],
            "UDP over IPv6": [ip(V6, 17, udp(V6, fault=True))],
            "UDP over IPv6 without one": [ip(V6, 17, put(udp(V6), 6, 0))],
            "TCP": [ip(V4, 6, tcp(V4, fault=True))],
            "TCP over IPv6": [ip(V6, 6, tcp(V6, fault=True))],
            "ICMP": [ip(V4, 1, echo(fault=True))],
            "ICMPv6": [ip(V6, 58, echo6(V6, fault=True))],
            "outer IPv4": [ip(V4, 4, ip(V4, 6, tcp(V4)), fault=True)],
            "inner IPv4": [ip(V6, 4, ip(V4, 6, tcp(V4), fault=True))],
            "inner TCP": [ip(V4, 41, ip(V6, 6, tcp(V6, fault=True)))],
            "UDP in fragments": [ip(V4, 17, long[:1024], 0x2000), ip(V4, 17, long[1024:], 128)],
            "UDP in fragments in tunnels": [ip(V4, 4, ip(V4, 17, long[:1024], 0x2000)),
                                            ip(V4, 4, ip(V4, 17, long[1024:], 128))],
        }.items():
            with self.subTest(name):
                self.assertEqual(self.faults(*packets), 1)

    def test_either_zero_of_a_checksum_is_right(self):
        segment = tcp(V4)
        # The checksum, put into the text instead of a zero, makes what is left of it zero.
        blank = segment[:16] + bytes(2) + segment[18:20] + bytes(2) + segment[22:]
        blank = put(blank, 20, checksum(pseudo(V4, 6, len(blank)) + blank))
        self.assertEqual(checksum(pseudo(V4, 6, len(blank)) + blank), 0)
        self.assertEqual(self.faults(ip(V4, 6, blank), ip(V4, 6, put(blank, 16, 0xffff))), 0)
        self.assertEqual(self.faults(ip(V4, 6, put(segment, 16, 0xffff))), 1)

    def test_what_an_error_quotes_is_checked_when_it_is_whole(self):
        for fault in (False, True):
            quote = ip(V4, 6, tcp(V4, fault=fault))
            quote6 = ip(V6, 17, udp(V6, b"x" * 100, fault=fault))
            for name, packet in {
                "IPv4": ip(V4, 1, unreachable(quote)),
                "IPv6": ip(V6, 58, unreachable6(V6, quote6)),
                "IPv4 in IPv4": ip(V4, 4, ip(V4, 1, unreachable(quote))),
                "IPv4 in IPv6": ip(V6, 4, ip(V4, 1, unreachable(quote))),
                "IPv6 in IPv4": ip(V4, 41, ip(V6, 58, unreachable6(V6, quote6))),
            }.items():
                with self.subTest(name, fault=fault):
                    self.assertEqual(self.faults(packet), int(fault))

    def test_what_an_error_quotes_in_part_is_no_fault(self):
        self.assertEqual(self.faults(ip(V4, 1, unreachable(ip(V4, 6, tcp(V4))[:42])),
                                     ip(V6, 58, unreachable6(V6, ip(V6, 17, udp(V6, b"x" * 100))[:100])),
                                     ip(V6, 4, ip(V4, 1, unreachable(ip(V4, 6, tcp(V4))[:42])))), 0)

    def test_a_truncated_header_is_found(self):
        self.assertEqual(self.faults(ip(V4, 6, tcp(V4)[:12])), 1)
        self.assertEqual(self.faults(ip(V4, 4, ip(V4, 17, udp(V4))[:16])), 1)
        self.assertEqual(self.faults(ip(V6, 41, ip(V6, 17, udp(V6))[:30])), 1)


if __name__ == "__main__":
    unittest.main()
