# SPDX-License-Identifier: Apache-2.0
"""Clients of /api/v1/events, on a node of the lab.

They are processes there: what they received is in a file, and they can be made not to read at all.
"""
import json
import subprocess
import sys

CLIENT = r"""
import os, socket, sys
port, reads = int(sys.argv[1]), sys.argv[2] == "reads"
peer = socket.socket()
if not reads:
    # As little room as there can be, so that it is full soon.
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
peer.connect(("127.0.0.1", port))
peer.sendall(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n")
print(peer.getsockname()[1], flush=True)
while reads and (data := peer.recv(65536)):
    os.write(1, data)
if not reads:
    sys.stdin.read()
"""


class Listener:
    """A client; `reads=False` makes one that never reads."""

    count = 0

    def __init__(self, lab, reads=True, port=9660):
        Listener.count += 1
        self.path = lab.dir / f"listener-{Listener.count}"
        with open(self.path, "wb") as out:
            self.process = lab.spawn("lb", sys.executable, "-c", CLIENT, str(port), "reads" if reads else "deaf",
                                     stdin=subprocess.PIPE, stdout=out)

    def received(self):
        """All that it was sent, behind its own port in the first line."""
        return self.path.read_bytes()

    def port(self):
        first, newline, _ = self.received().partition(b"\n")
        return int(first) if newline else None

    def status(self):
        """The status line of the answer; empty while there is none."""
        return self.received().partition(b"\n")[2].partition(b"\r\n")[0].decode()

    def documents(self):
        """The documents of the events that are complete."""
        lines = self.received().split(b"\n")
        return [json.loads(line[6:]) for line in lines[:-1] if line.startswith(b"data: ")]

    def has_ended(self):
        return self.process.poll() is not None

    def go(self):
        self.process.terminate()
        self.process.wait(10)
        self.process.stdin.close()
