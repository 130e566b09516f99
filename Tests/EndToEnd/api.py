# SPDX-License-Identifier: Apache-2.0
"""The admin API for tests: a daemon with one service of each mode, and requests as clients make them."""
import http.client
import json
import os
import socket
import subprocess
import sys
import urllib.parse

from lab import BACKENDS, VIP, Lab, wait_until

TCP = "http://127.0.0.1:9660"
POOL = "snat_pools: [{name: p1, addresses: [20.1.1.1], ports: 2000-2999}]"
CONFIGURATION = """\
version: 1
interfaces: [{name: eth0}]
%s
services:
  - {name: web, vips: [%s], ports: [80/tcp], mode: dsr, backends: [%s]}
  - {name: sink, vips: [%s], ports: [8080/tcp], mode: snat, snat_pool: p1, backends: [%s], health: {type: tcp}}
"""


class ApiLab(Lab):
    """The topology with `web` in dsr and `sink` in snat, configured by a file."""

    def serve(self, more="", pool=POOL):
        """Starts the daemon; `more` is appended to its file."""
        addresses = ", ".join(BACKENDS.values())
        file = self.dir / "xdplb.yaml"
        file.write_text(CONFIGURATION % (pool, VIP, addresses, VIP, addresses) + more)
        self.decapsulate()
        self.launch("--config", str(file))
        wait_until(lambda: all(service["up"] for service in self.json("service", "list")["services"]), "all services are up")
        return self

    def upload(self, count):
        """Requests to `sink`, each over a connection of its own; all must be answered."""
        done = self.run("client", "curl", "-sS", "--fail", "-m", "10", "-H", "Connection: close",
                        f"http://{VIP}:8080/[1-{count}]")
        assert done.stdout == "ok\n" * count, done.stdout

    def ask(self, method, path, body=None, headers=(), timeout=30):
        """A request over the admin socket: status, headers and body."""
        connection = UnixConnection(self.socket, timeout)
        try:
            return exchange(connection, method, path, body, headers)
        finally:
            connection.close()

    def document(self, path):
        status, _, body = self.ask("GET", path)
        assert status == 200, (path, status, body)
        return json.loads(body)

    def ask_tcp(self, method, path, body=None):
        """A request over TCP, from the load balancer's own namespace: status and body."""
        data = ["--data-binary", body, "-H", "Content-Type: application/json"] if body is not None else []
        head = ["-I"] if method == "HEAD" else ["-X", method]
        answer = self.run("lb", "curl", "-s", "--path-as-is", "-m", "20", *head, *data, "-w", "\n%{http_code}", TCP + path)
        text, _, status = answer.stdout.rpartition("\n")
        return int(status), text

    def ask_as(self, user, method, path, body=None, groups=None):
        """A request over the admin socket by another user of the system: status and body.

        The process has the user's supplementary groups, or those given by number."""
        of = ["--init-groups"] if groups is None else [f"--groups={','.join(map(str, groups))}"] if groups else ["--clear-groups"]
        data = ["--data-binary", body, "-H", "Content-Type: application/json"] if body is not None else []
        answer = subprocess.run(
            ["setpriv", f"--reuid={user}", f"--regid={group_of(user)}", *of, "curl", "-s", "--path-as-is", "-m", "20",
             "-X", method, *data, "-w", "\n%{http_code}", "--unix-socket", self.socket, f"http://localhost{path}"],
            text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
        text, _, status = answer.stdout.rpartition("\n")
        return int(status or 0), text

    def bridge(self, port):
        """Lets TCP clients of the load balancer's namespace reach the admin socket."""
        self.spawn("lb", sys.executable, os.path.join(os.path.dirname(__file__), "bridge.py"), str(port), self.socket)


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def exchange(connection, method, path, body, headers):
    connection.request(method, path, body, dict(headers))
    response = connection.getresponse()
    return response.status, response.headers, response.read().decode()


def group_of(user):
    return subprocess.run(["id", "-g", user], check=True, text=True, stdout=subprocess.PIPE).stdout.strip()


def quoted(text):
    """A part of a path, percent-encoded."""
    return urllib.parse.quote(text, safe="")
