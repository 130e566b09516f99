# SPDX-License-Identifier: Apache-2.0
"""Server-sent events: one document a second for all, few clients, and none that harms the others."""
import json
import pathlib
import time
import unittest

from events import Listener
from lab import Lab, wait_until

CLIENTS = 32


class Events(unittest.TestCase):
    def setUp(self):
        self.lab = self.enterContext(Lab())
        self.lab.start("snat")

    def listen(self, **options):
        listener = Listener(self.lab, **options)
        self.addCleanup(listener.go)
        return listener

    def connection(self, listener):
        """What the kernel says of the daemon's end of a connection while it is established, in words."""
        return self.lab.run("lb", "ss", "-Htn", "state", "established", "sport", "=", ":9660", "dport", "=",
                            f":{listener.port()}").stdout.split()

    def is_established(self, listener):
        """Whether the daemon still has the connection."""
        return bool(self.connection(listener))

    def unsent(self, listener):
        """Bytes that wait in the kernel for the client."""
        words = self.connection(listener)
        return int(words[1]) if words else 0

    def resident_kilobytes(self):
        status = pathlib.Path(f"/proc/{self.lab.daemon.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0])

    def test_each_second_all_clients_get_the_same_document(self):
        listeners = [self.listen() for _ in range(4)]
        wait_until(lambda: all(len(listener.documents()) >= 4 for listener in listeners), "four documents each")
        documents = [{json.dumps(d, sort_keys=True) for d in listener.documents()[1:4]} for listener in listeners]
        self.assertGreaterEqual(len(set.intersection(*documents)), 2)
        times = [document["time"] for document in listeners[0].documents()]
        self.assertGreaterEqual(len(set(times)), len(times) - 1, "one a second")

    def test_one_more_client_than_there_are_places_is_refused_until_one_goes(self):
        listeners = [self.listen() for _ in range(CLIENTS)]
        wait_until(lambda: all(listener.documents() for listener in listeners), "all get documents", 30)
        refused = self.lab.run("lb", "curl", "-s", "-w", "\n%{http_code}", "http://127.0.0.1:9660/api/v1/events").stdout
        body, code = refused.rsplit("\n", 1)
        self.assertEqual((code, json.loads(body)["error"]["code"]), ("503", "too_many_clients"))
        self.assertIn("32 clients", json.loads(body)["error"]["message"])
        self.lab.run("lb", "curl", "-sS", "--fail", "http://127.0.0.1:9660/api/v1/status")
        listeners[0].process.terminate()
        listeners[0].process.wait(10)

        def is_taken_in():
            late = self.listen()
            wait_until(late.status, "there is an answer")
            return late.status() == "HTTP/1.1 200 OK"
        wait_until(is_taken_in, "its place is free again")

    def test_a_client_that_never_reads_is_cut_off_and_holds_nobody_up(self):
        reader = self.listen()
        wait_until(reader.documents, "the first document")
        deaf = [self.listen(reads=False) for _ in range(8)]
        wait_until(lambda: all(client.port() for client in deaf), "they are connected")
        before = self.resident_kilobytes()
        began, count = time.monotonic(), len(reader.documents())
        wait_until(lambda: not any(self.is_established(client) for client in deaf), "they are cut off", 120)
        seconds = time.monotonic() - began
        self.assertGreater(seconds, 5, "not before they had time to read")
        self.assertGreater(len(reader.documents()) - count, seconds * 0.8, "the other one got a document each second")
        self.assertTrue(self.is_established(reader))
        self.assertLess(self.resident_kilobytes() - before, 16 << 10)

    def test_sigterm_ends_the_streams_in_order_and_waits_for_no_client(self):
        reader = self.listen()
        deaf = self.listen(reads=False)
        wait_until(lambda: reader.documents() and deaf.port(), "both are connected")
        seen = []

        def is_stuck():
            """Nothing more goes out to it for three documents."""
            seen.append((len(reader.documents()), self.unsent(deaf)))
            return seen[-1][1] > 0 and any(count <= seen[-1][0] - 3 and unsent == seen[-1][1] for count, unsent in seen)
        wait_until(is_stuck, "the one that never reads has all the kernel keeps for it", 60)
        self.assertTrue(self.is_established(deaf))
        began = time.monotonic()
        self.assertEqual(self.lab.stop(), 0)
        self.assertLess(time.monotonic() - began, 2)
        wait_until(reader.has_ended, "the stream ends")
        self.assertEqual(reader.process.returncode, 0)
        self.assertTrue(reader.received().endswith(b"0\r\n\r\n"), "as a whole")


if __name__ == "__main__":
    unittest.main()
