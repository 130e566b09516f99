# SPDX-License-Identifier: Apache-2.0
"""Sends frames to the VIP one at a time and takes the kernel's receive timestamp of each that comes back."""
import json
import socket
import struct
import sys
import time

SO_TIMESTAMPNS = 35
COUNT = int(sys.argv[1])
# Seconds of silence before each frame: how long a worker takes that has gone to sleep.
GAP = float(sys.argv[2]) if len(sys.argv) > 2 else 0
WARM = 0 if GAP else 200


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def frame(number):
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 46, 0, 0x4000, 64, 17, 0, socket.inet_aton("10.9.0.1"), socket.inet_aton("192.0.2.1"))
    ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
    udp = struct.pack("!HHHH", 1024 + number % 256, 80, 26, 0)
    return bytes.fromhex("020000000102" "020000000101" "0800") + ip + udp + struct.pack("!Q", number).rjust(18, b"\0")


receiver = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
receiver.bind(("gen0", 0))
receiver.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
receiver.settimeout(0.5)
times, lost = [], 0
for number in range(COUNT + WARM):
    data = frame(number)
    if GAP:
        time.sleep(GAP)
    start = time.clock_gettime_ns(time.CLOCK_REALTIME)
    receiver.send(data)
    try:
        while True:
            got, control, _, source = receiver.recvmsg(2048, 256)
            if source[2] != socket.PACKET_OUTGOING and got[-8:] == data[-8:]:
                break
        stamp = struct.unpack("qq", control[0][2][:16])
        if number >= WARM:
            times.append((stamp[0] * 10**9 + stamp[1] - start) / 1000)
    except socket.timeout:
        lost += 1
times.sort()
pick = lambda share: round(times[min(len(times) - 1, int(share * len(times)))], 2) if times else None
print(json.dumps({"count": len(times), "lost": lost, "p50": pick(0.5), "p90": pick(0.9), "p99": pick(0.99), "p999": pick(0.999), "max": pick(1)}))
