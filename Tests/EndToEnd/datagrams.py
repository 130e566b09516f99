# SPDX-License-Identifier: Apache-2.0
"""Takes datagrams at a Unix socket, as systemd's notification socket and journal do, and prints each
as a line of JSON: {"at": SECONDS, "text": …}, after a line that says that it listens. Run as
`datagrams.py PATH|@NAME`."""
import json
import os
import socket
import sys
import time

name = sys.argv[1]
receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
receiver.bind("\0" + name[1:] if name.startswith("@") else name)
if not name.startswith("@"):
    os.chmod(name, 0o666)
print("listening", flush=True)
while True:
    text = receiver.recv(1 << 18).decode()
    print(json.dumps({"at": time.monotonic(), "text": text}), flush=True)
