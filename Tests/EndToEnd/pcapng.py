# SPDX-License-Identifier: Apache-2.0
"""Reads a capture of xdplb's, block by block: what tshark does not tell in one go."""
import struct

SECTION, INTERFACE, STATISTICS, PACKET = 0x0a0d0d0a, 1, 5, 6
COMMENT, FLAGS, NUMBER, QUEUE, VERDICT = 1, 2, 5, 6, 7
RECEIVED, LOST, DELIVERED = 4, 5, 8


class Packet:
    """A copy of a frame, and its options."""

    def __init__(self, body):
        captured, self.length = struct.unpack_from("<II", body, 12)
        high, low = struct.unpack_from("<II", body, 4)
        self.time = high << 32 | low
        self.data = body[20:20 + captured]
        self.options = options(body[20 + (captured + 3) // 4 * 4:])
        self.comment = self.options[COMMENT].decode()
        self.number, = struct.unpack("<Q", self.options[NUMBER])
        flags, = struct.unpack("<I", self.options[FLAGS])
        self.direction = {1: "in", 2: "out"}[flags & 3]


class Capture:
    """The packets of a file, and the last statistics. Fails when the file does not end with a block."""

    def __init__(self, path):
        with open(path, "rb") as file:
            data = file.read()
        self.packets, self.statistics, place = [], {}, 0
        while place < len(data):
            kind, length = struct.unpack_from("<II", data, place)
            again, = struct.unpack_from("<I", data, place + length - 4)
            assert again == length, f"byte {place}: a block of {length} bytes ends with {again}"
            body = data[place + 8:place + length - 4]
            if kind == PACKET:
                self.packets.append(Packet(body))
            elif kind == STATISTICS:
                self.statistics = {code: struct.unpack("<Q", value)[0] for code, value in options(body[12:]).items()}
            place += length

    def pairs(self):
        """For each frame by its number: its copies by direction."""
        pairs = {}
        for packet in self.packets:
            assert packet.direction not in pairs.setdefault(packet.number, {}), "a copy is there twice"
            pairs[packet.number][packet.direction] = packet
        return pairs


def options(data):
    found, place = {}, 0
    while place + 4 <= len(data):
        code, length = struct.unpack_from("<HH", data, place)
        if code == 0:
            break
        found[code] = data[place + 4:place + 4 + length]
        place += 4 + (length + 3) // 4 * 4
    return found
