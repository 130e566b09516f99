# SPDX-License-Identifier: Apache-2.0
"""An HTTP server for tests: takes uploads and answers with their SHA-256; GET answers `ok`."""
import hashlib
import http.server
import sys


class Sink(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.answer(b"ok\n")

    def do_PUT(self):
        left, digest = int(self.headers["Content-Length"]), hashlib.sha256()
        while left:
            block = self.rfile.read(min(left, 1 << 20))
            if not block:
                return
            digest.update(block)
            left -= len(block)
        self.answer(digest.hexdigest().encode() + b"\n")

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer(("", int(sys.argv[1])), Sink).serve_forever()
