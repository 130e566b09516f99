# SPDX-License-Identifier: Apache-2.0
"""What is no request, too large or too slow is answered or cut within a bound, while others are served."""
import http.client
import json
import re
import socket
import threading
import time
import unittest

from api import ApiLab
from lab import wait_until

# As AdminService and AdminClients have them.
CLIENTS = 128
HEAD_BYTES = 16 << 10
BODY_BYTES = 64 << 10
PATIENCE = 10
# Of a machine that does other things as well.
SLACK = 6


class Raw:
    """A connection to the admin socket that sends what it likes."""

    def __init__(self, lab):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(PATIENCE + SLACK)
        self.socket.connect(lab.socket)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        """Sends as much as the other end takes."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass
        return self

    def answer(self):
        """The status and the code of what is answered; None for both when the connection ends without a word."""
        response = http.client.HTTPResponse(self.socket)
        try:
            response.begin()
            body = response.read()
        except (http.client.HTTPException, ConnectionError):
            return None, None
        return response.status, json.loads(body)["error"]["code"] if response.status >= 400 and body else None

    def is_cut(self):
        """Whether the connection has ended; waits for it."""
        try:
            while self.socket.recv(65536):
                pass
        except ConnectionResetError:
            pass
        return True


class Bounds(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = cls.enterClassContext(ApiLab())
        cls.lab.serve()

    def raw(self):
        return self.enterContext(Raw(self.lab))

    def serves_at_once(self):
        began = time.monotonic()
        self.assertEqual(self.lab.ask("GET", "/healthz")[0], 200)
        self.lab.status()
        self.assertLess(time.monotonic() - began, 3)

    def test_what_is_too_large_is_refused_with_a_reason(self):
        put = b"PUT /api/v1/services/web HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        body = b'{"backends": ["' + b"1" * BODY_BYTES + b'"]}'
        chunked = b"".join(b"%x\r\n%s\r\n" % (4096, b"1" * 4096) for _ in range(BODY_BYTES // 4096 + 1)) + b"0\r\n\r\n"
        for what, data, answers in [
                ("a long line", b"GET /" + b"a" * (2 * HEAD_BYTES) + b" HTTP/1.1\r\nHost: x\r\n\r\n", {431, 400}),
                ("a long header", b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * (2 * HEAD_BYTES) + b"\r\n\r\n", {431}),
                ("many headers", b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 200 + b"\r\n", {431}),
                ("headers without end", b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * (1 << 16), {431}),
                ("a long body", put + b"Content-Length: %d\r\n\r\n" % len(body) + body, {413}),
                ("a body in chunks", put + b"Transfer-Encoding: chunked\r\n\r\n" + chunked, {413})]:
            with self.subTest(what):
                status, code = self.raw().send(data).answer()
                self.assertIn(status, answers)
                self.assertIn(code, ("too_large", "malformed"))
        self.serves_at_once()

    def test_what_is_no_request_is_refused_with_a_reason_and_cut(self):
        for data in [b"\r\n\r\nhello\r\n\r\n", b"GET\r\n\r\n", b"GET  /none HTTP/1.1\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
                     b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"G\x00T / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nA b\r\n\r\n",
                     b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
                     b"PUT / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
                     b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                     b"GET / HTTP/1.1\r\n A: folded\r\n\r\n", b"{\"jsonrpc\": \"2.0\"}\r\n\r\n"]:
            with self.subTest(data):
                raw = self.raw().send(data)
                status, _ = raw.answer()
                # A head that is right in itself is one to a path that is not there.
                self.assertIn(status, (400, 404, 405))
        self.serves_at_once()

    def test_slow_and_half_open_requests_are_cut_within_the_bound_and_others_served_meanwhile(self):
        put = b"PUT /api/v1/services/web HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"
        cases = {"nothing at all": b"", "half a head": b"GET /api/v1/status HTTP/1.1\r\nHost: x\r\n", "half a body": put + b'{"back',
                 "a byte at a time": None}
        began = time.monotonic()
        raws = {what: self.raw().send(data or b"") for what, data in cases.items()}
        ended = threading.Event()

        def dribble():
            for letter in b"GET /api/v1/status HTTP/1.1\r\nHost: " + b"x" * 1000:
                if ended.wait(0.2):
                    return
                raws["a byte at a time"].send(bytes([letter]))

        thread = threading.Thread(target=dribble)
        thread.start()
        try:
            for what, raw in raws.items():
                self.serves_at_once()
                status, code = raw.answer()
                self.assertEqual((what, status, code), (what, 408, "timeout"))
                self.assertTrue(raw.is_cut())
                self.assertLess(time.monotonic() - began, PATIENCE + SLACK, what)
        finally:
            ended.set()
            thread.join()
        self.assertGreater(time.monotonic() - began, PATIENCE - 1)

    def test_clients_that_say_nothing_lock_nobody_out(self):
        silent = [self.raw() for _ in range(CLIENTS)]
        for _ in range(20):
            self.serves_at_once()
        more = [self.raw().send(b"GET /api/v1/status HTTP/1.1\r\n") for _ in range(2 * CLIENTS)]
        self.serves_at_once()
        # Those that waited longest made room, and were told.
        self.assertEqual(silent[0].answer(), (503, "too_many_clients"))
        self.assertTrue(silent[0].is_cut())
        more[-1].send(b"Host: x\r\n\r\n")
        self.assertEqual(more[-1].answer(), (200, None))

    def test_clients_that_ask_are_served_although_there_are_more_than_at_once(self):
        """More than there may be, all at work: each is answered when one before it has left."""
        failures = []

        def ask():
            try:
                status, _, _ = self.lab.ask("GET", "/metrics", timeout=60)
                if status != 200:
                    failures.append(status)
            except OSError as error:
                failures.append(error)

        threads = [threading.Thread(target=ask) for _ in range(2 * CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])

    def test_a_connection_serves_many_requests(self):
        connection = http.client.HTTPConnection("localhost", timeout=20)
        connection.sock = self.raw().socket
        for _ in range(50):
            connection.request("GET", "/healthz")
            response = connection.getresponse()
            self.assertEqual((response.status, response.read()), (200, b"ok\n"))

    def test_requests_that_come_at_once_are_answered_in_order(self):
        raw = self.raw().send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /api/v1/nothing HTTP/1.1\r\nHost: x\r\n\r\n" * 3)
        wait_until(lambda: self.received(raw, 6), "six answers")

    def received(self, raw, count):
        raw.data = getattr(raw, "data", b"") + raw.socket.recv(65536)
        codes = re.findall(rb"HTTP/1\.1 (\d+)", raw.data)
        return codes == [b"200", b"404"] * (count // 2)


if __name__ == "__main__":
    unittest.main()
