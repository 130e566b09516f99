# SPDX-License-Identifier: Apache-2.0
"""What a running load balancer says of frames that it dropped."""
import json
import re
import signal
import subprocess
import unittest

from lab import VIP, XDPLB, wait_until
from live import CLIENT, CLOSED, LOAD_BALANCER, NAT, LiveTest


class Drops(LiveTest):
    def drops(self):
        return {drop["reason"]: drop for drop in self.lab.json("drops")["drops"]}

    def test_dropped_frames_are_captured_once_and_explained(self):
        before = self.drops()["policy"]["total"]
        process = self.capture("--reason", "policy", "--service", "closed")
        self.request(CLOSED, seconds=1, check=False)
        packets = self.finish(process).packets
        self.assertGreater(len(packets), 0)
        for packet in packets:
            self.assertEqual((packet.direction, packet.comment), ("in", "closed dsr worker=0 drop=policy"))
        policy = self.drops()["policy"]
        self.assertEqual(policy["total"] - before, len(packets))
        self.assertRegex(policy["example"], rf"^{CLIENT}:\d+ -> {VIP}:81/tcp, outside source_ranges of closed$")
        self.assertRegex(policy["last"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        table = self.lab.command("drops").stdout
        self.assertRegex(table, r"(?m)^policy +\d+ +\d+ +(now|\d\d:\d\d:\d\d) +20\.1\.1\.100:\d+ -> ")
        self.assertRegex(table, r"(?m)^kernel rx_ring_full +0 +0 +- +remedy if it grows: ")
        # By name of the reason, and of the other way to lose frames.
        for reason in ("policy", "rx_ring_full"):
            text = subprocess.run([XDPLB, "drops", "--explain", reason], check=True, stdout=subprocess.PIPE, text=True).stdout
            self.assertEqual(re.findall(r"(?m)^\S.*", text), [reason, "Usual causes", "Look first at", "Commands"])

    def test_an_unknown_reason_is_answered_with_those_there_are(self):
        result = subprocess.run([XDPLB, "drops", "--explain", "gremlins"], stderr=subprocess.PIPE, text=True)
        self.assertEqual(result.returncode, 2)
        self.assertIn("no_backend", result.stderr)

    def test_segments_of_no_connection_show_what_they_are(self):
        # A connection that the daemon forgets goes on with an ACK or with a FIN.
        process = self.lab.spawn("client", "curl", "-s", "-m", "10", "--limit-rate", "100k", "-T",
                                 str(self.lab.random_file(1)), f"http://{VIP}:{NAT}/")
        wait_until(lambda: self.lab.json("connections", "count", "--service", "nat")["count"] > 0, "there is a connection")
        self.lab.command("connections", "flush", "--service", "nat")
        example = wait_until(lambda: self.drops()["no_connection"]["example"], "segments are dropped")
        self.assertRegex(example, rf"^\S+ -> ({VIP}:{NAT}|{LOAD_BALANCER}:\d+)/tcp, \w+ of no tracked connection")
        process.kill()

    def test_clients_are_not_shown_over_tcp(self):
        self.request(CLOSED, seconds=1, check=False)
        self.assertIn(CLIENT, json.dumps(self.lab.json("drops")))
        over_tcp = self.lab.run("lb", "curl", "-sS", "http://127.0.0.1:9660/api/v1/drops").stdout
        self.assertNotIn(CLIENT, over_tcp)
        self.assertIn('"example" : null', over_tcp)
        post = self.lab.run("lb", "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-X", "POST",
                            "http://127.0.0.1:9660/api/v1/capture").stdout
        self.assertEqual(post, "405")

    def test_watch_repeats_a_read_until_ctrl_c(self):
        for command in (["drops"], ["status"], ["service", "list"], ["service", "show", "web"], ["backend", "list"],
                        ["connections", "list"], ["connections", "count"], ["maglev", "show", "web"], ["neighbours", "list"]):
            with self.subTest(" ".join(command)):
                process = subprocess.Popen([XDPLB, *command, "--watch", "200ms", "-o", "json", "--admin-socket", self.lab.socket],
                                           stdout=subprocess.PIPE, text=True)
                self.lab.processes.append(process)
                # Piped, documents follow each other, and come as soon as they are made.
                ends = 0
                while ends < 3:
                    ends += process.stdout.readline() == "}\n"
                process.send_signal(signal.SIGINT)
                process.communicate(timeout=10)
                self.assertEqual(process.returncode, 0)


if __name__ == "__main__":
    unittest.main()
