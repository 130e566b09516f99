# SPDX-License-Identifier: Apache-2.0
"""The check of captures itself: hand-made frames, sound ones and one of each fault."""
import ipaddress
import pathlib
import struct
import tempfile
import unittest

from capture import FAULTS, tshark

V4 = (ipaddress.ip_address("192.0.2.1").packed, ipaddress.ip_address("203.0.113.10").packed)
V6 = (ipaddress.ip_address("2001:db8::1").packed, ipaddress.ip_address("2001:db8:f::10").packed)


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def put(data, offset, value):
    return data[:offset] + struct.pack("!H", value) + data[offset + 2:]


def ip(addresses, protocol, payload, fragment=0, fault=False):
    """A packet of the addresses' family; `fragment` is the field of IPv4."""
    if len(addresses[0]) == 16:
        return struct.pack("!IHBB", 6 << 28, len(payload), protocol, 64) + b"".join(addresses) + payload
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 7, fragment, 64, protocol, 0) + b"".join(addresses)
    return put(header, 10, checksum(header) ^ fault) + payload


def pseudo(addresses, protocol, length):
    return b"".join(addresses) + struct.pack("!IHBB", length, 0, 0, protocol)


def udp(addresses, text=b"text", fault=False):
    data = struct.pack("!HHHH", 5000, 5001, 8 + len(text), 0) + text
    return put(data, 6, checksum(pseudo(addresses, 17, len(data)) + data) ^ fault)


def tcp(addresses, fault=False):
    data = struct.pack("!HHIIBBHHH", 5000, 5001, 1, 2, 0x50, 0x10, 1024, 0, 0) + b"text"
    return put(data, 16, checksum(pseudo(addresses, 6, len(data)) + data) ^ fault)


def echo(fault=False):
    data = struct.pack("!BBHHH", 8, 0, 0, 1, 1) + b"text"
    return put(data, 2, checksum(data) ^ fault)


def echo6(fault=False):
    data = struct.pack("!BBHHH", 128, 0, 0, 1, 1) + b"text"
    return put(data, 2, checksum(pseudo(V6, 58, len(data)) + data) ^ fault)


def frame(packet):
    kind = 0x86dd if packet[0] >> 4 == 6 else 0x0800
    return b"\x02\0\0\0\0\x01\x02\0\0\0\0\x02" + struct.pack("!H", kind) + packet


class CheckingCaptures(unittest.TestCase):
    def faults(self, *packets):
        with tempfile.TemporaryDirectory() as directory:
            path = pathlib.Path(directory) / "frames.pcap"
            with open(path, "wb") as file:
                file.write(struct.pack("=IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
                for number, packet in enumerate(packets):
                    data = frame(packet)
                    file.write(struct.pack("=IIII", number, 0, len(data), len(data)) + data)
            return len(tshark(path, FAULTS))

    def test_sound_frames_have_no_fault(self):
        long = udp(V4, b"x" * 2000)
        self.assertEqual(self.faults(
            ip(V4, 17, udp(V4)), ip(V6, 17, udp(V6)), ip(V4, 6, tcp(V4)), ip(V6, 6, tcp(V6)), ip(V4, 1, echo()),
            ip(V6, 58, echo6()), ip(V4, 4, ip(V4, 6, tcp(V4))), ip(V6, 4, ip(V4, 6, tcp(V4))),
            ip(V4, 41, ip(V6, 6, tcp(V6))), ip(V4, 17, long[:1024], 0x2000), ip(V4, 17, long[1024:], 128)), 0)

    def test_a_bad_checksum_is_found_at_every_layer_in_and_out_of_tunnels(self):
        long = udp(V4, b"x" * 2000, fault=True)
        for name, packets in {
            "IPv4": [ip(V4, 17, udp(V4), fault=True)],
            "UDP": [ip(V4, 17, udp(V4, fault=True))],
            "UDP over IPv6": [ip(V6, 17, udp(V6, fault=True))],
            "TCP": [ip(V4, 6, tcp(V4, fault=True))],
            "TCP over IPv6": [ip(V6, 6, tcp(V6, fault=True))],
            "ICMP": [ip(V4, 1, echo(fault=True))],
            "ICMPv6": [ip(V6, 58, echo6(fault=True))],
            "outer IPv4": [ip(V4, 4, ip(V4, 6, tcp(V4)), fault=True)],
            "inner IPv4": [ip(V6, 4, ip(V4, 6, tcp(V4), fault=True))],
            "inner TCP": [ip(V4, 41, ip(V6, 6, tcp(V6, fault=True)))],
            "UDP in fragments": [ip(V4, 17, long[:1024], 0x2000), ip(V4, 17, long[1024:], 128)],
            "UDP in fragments in tunnels": [ip(V4, 4, ip(V4, 17, long[:1024], 0x2000)),
                                            ip(V4, 4, ip(V4, 17, long[1024:], 128))],
        }.items():
            with self.subTest(name):
                self.assertEqual(self.faults(*packets), 1)

    def test_a_truncated_header_is_found(self):
        self.assertEqual(self.faults(ip(V4, 6, tcp(V4)[:12])), 1)
        self.assertEqual(self.faults(ip(V4, 4, ip(V4, 17, udp(V4))[:16])), 1)
        self.assertEqual(self.faults(ip(V6, 41, ip(V6, 17, udp(V6))[:30])), 1)


if __name__ == "__main__":
    unittest.main()
