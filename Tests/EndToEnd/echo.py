# SPDX-License-Identifier: Apache-2.0
"""Datagrams there and back.

  echo.py serve PORT ADDRESS...           sends datagrams back, from the address that was asked
  echo.py ask ADDRESS PORT SIZE COUNT     one datagram from each of COUNT sockets; says what became of each
  echo.py keep-asking ADDRESS PORT        one after the other, of any size, until SIGTERM; then a line of JSON

A connected socket hears nobody but whom it asked.
"""
import json
import os
import random
import select
import signal
import socket
import sys
import time

BUFFER = 1 << 20
# Between two flows, in seconds.
PAUSE = 0.01


def udp(address):
    made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
    return made


def serve(port, *addresses):
    sockets = [udp(address) for address in addresses]
    for address, listening in zip(addresses, sockets):
        listening.bind((address, int(port)))
    while True:
        for ready in select.select(sockets, [], [])[0]:
            data, peer = ready.recvfrom(65535)
            ready.sendto(data, peer)


def asking(address, port, timeout):
    made = udp(address)
    made.settimeout(timeout)
    made.connect((address, int(port)))
    return made


def ask(address, port, size, count):
    for _ in range(int(count)):
        with asking(address, port, 5) as one:
            data = os.urandom(int(size))
            one.send(data)
            try:
                print("echoed" if one.recv(65535) == data else "changed")
            except OSError as error:
                print("no answer:", error)


def keep_asking(address, port):
    """`repeated` are datagrams that were sent a second or third time, as clients of UDP do; `failed` those
    that had no answer then, or another one. A pause behind each flow leaves the host to the others."""
    tally = {"asked": 0, "repeated": 0, "failed": 0}
    ended = []
    signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
    while not ended:
        # New flows of a few datagrams each, of one fragment or several.
        with asking(address, port, 1) as one:
            for _ in range(random.randint(1, 8)):
                data = os.urandom(random.choice([16, 200, 1200, 1472, 4000, 16000]))
                tally["asked"] += 1
                for attempt in range(3):
                    tally["repeated"] += attempt > 0
                    one.send(data)
                    if answers(one, data):
                        break
                else:
                    tally["failed"] += 1
        time.sleep(PAUSE)
    print(json.dumps(tally))


def answers(one, data):
    """Whether the datagram comes back; late answers to one before it are passed over."""
    try:
        while one.recv(65535) != data:
            pass
        return True
    except OSError:
        return False


{"serve": serve, "ask": ask, "keep-asking": keep_asking}[sys.argv[1]](*sys.argv[2:])
