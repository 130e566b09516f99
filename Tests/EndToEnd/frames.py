# SPDX-License-Identifier: Apache-2.0
"""Packets made by hand; `addresses` are source and destination, and `fault` makes a checksum wrong."""
import ipaddress
import struct


def packed(source, destination):
    """Two addresses as headers have them."""
    return ipaddress.ip_address(source).packed, ipaddress.ip_address(destination).packed


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


def udp(addresses, text=b"text", fault=False, port=5001):
    data = struct.pack("!HHHH", 5000, port, 8 + len(text), 0) + text
    return put(data, 6, checksum(pseudo(addresses, 17, len(data)) + data) ^ fault)


def tcp(addresses, fault=False):
    data = struct.pack("!HHIIBBHHH", 5000, 5001, 1, 2, 0x50, 0x10, 1024, 0, 0) + b"text"
    return put(data, 16, checksum(pseudo(addresses, 6, len(data)) + data) ^ fault)


def echo(fault=False):
    data = struct.pack("!BBHHH", 8, 0, 0, 1, 1) + b"text"
    return put(data, 2, checksum(data) ^ fault)


def echo6(addresses, fault=False):
    data = struct.pack("!BBHHH", 128, 0, 0, 1, 1) + b"text"
    return put(data, 2, checksum(pseudo(addresses, 58, len(data)) + data) ^ fault)


def unreachable(quote):
    """An ICMP error of IPv4."""
    data = struct.pack("!BBHI", 3, 3, 0, 0) + quote
    return put(data, 2, checksum(data))


def unreachable6(addresses, quote):
    data = struct.pack("!BBHI", 1, 4, 0, 0) + quote
    return put(data, 2, checksum(pseudo(addresses, 58, len(data)) + data))


def frame(packet):
    kind = 0x86dd if packet[0] >> 4 == 6 else 0x0800
    return b"\x02\0\0\0\0\x01\x02\0\0\0\0\x02" + struct.pack("!H", kind) + packet
