# SPDX-License-Identifier: Apache-2.0
"""Captures of a running load balancer: tshark reads them, and their frames are counted."""
import re
import signal
import subprocess
import unittest

from capture import tshark
from lab import BACKENDS, VIP
from live import CLIENT, LOAD_BALANCER, NAT, WEB, LiveTest
from pcapng import DELIVERED, LOST, RECEIVED, Capture


class Pairs(LiveTest):
    def test_a_dsr_frame_is_there_as_received_and_inside_the_tunnel(self):
        process = self.capture("--service", "web")
        names = [self.request().stdout.strip() for _ in range(12)]
        capture = self.finish(process)
        pairs = capture.pairs()
        self.assertGreaterEqual(len(pairs), 12 * 5)
        for pair in pairs.values():
            before, after = pair["in"], pair["out"]
            # An outer IPv4 header, and then the packet as it was.
            self.assertEqual(after.data[34:], before.data[14:])
            self.assertEqual(after.data[23], 4)
            self.assertEqual(before.comment, after.comment)
            self.assertRegex(before.comment, r"^web dsr b[1-4] connection=(hit|miss) worker=0$")
            self.assertGreaterEqual(after.time, before.time)
        # Each connection begins with a miss, at the backend that then answered.
        misses = [pair["in"].comment.split()[2] for pair in pairs.values() if "connection=miss" in pair["in"].comment]
        self.assertEqual(misses, names)
        self.assertEqual(capture.statistics[LOST], 0)
        self.assertEqual(capture.statistics[RECEIVED], len(pairs))
        self.assertEqual(capture.statistics[DELIVERED], len(capture.packets))
        self.assertRegex(process.summary, rf"^{len(pairs)} frames, 0 lost, .*: {process.path}\n$")

    def test_both_directions_of_snat_are_there_before_and_after_the_translation(self):
        process = self.capture("--service", "nat")
        for _ in range(5):
            self.request(NAT, "")
        pairs = self.finish(process).pairs().values()
        directions = {self.addresses(pair["in"]) for pair in pairs}
        self.assertEqual({d for d in directions if d[0] == CLIENT}, {(CLIENT, VIP)})
        self.assertEqual({d[1] for d in directions if d[0] != CLIENT}, {LOAD_BALANCER})
        for pair in pairs:
            source, destination = self.addresses(pair["out"])
            if self.addresses(pair["in"])[0] == CLIENT:
                self.assertEqual(source, LOAD_BALANCER)
                self.assertIn(destination, BACKENDS.values())
            else:
                self.assertEqual((source, destination), (VIP, CLIENT))
            # The segment's data is untouched.
            self.assertEqual(pair["in"].data[54:], pair["out"].data[54:])
            self.assertRegex(pair["in"].comment, r"^nat snat b[1-4] connection=(hit|miss) worker=0$")

    @staticmethod
    def addresses(packet):
        return tuple(".".join(str(byte) for byte in packet.data[place:place + 4]) for place in (26, 30))

    def test_wireshark_shows_queue_direction_verdict_number_comment_and_interface(self):
        process = self.capture("--service", "web", "-c", "2")
        self.request()
        self.finish(process, number=None)
        fields = ["frame.interface_name", "frame.interface_queue", "frame.packet_flags_direction", "frame.packet_id",
                  "frame.verdict.ebpf_xdp", "frame.comment"]
        lines = tshark(process.path, "frame", "-T", "fields", *(item for field in fields for item in ("-e", field)))
        self.assertEqual(len(lines), 4)
        for index, line in enumerate(lines):
            name, queue, direction, number, verdict, comment = line.split("\t")
            self.assertEqual((name, queue), ("eth0", "0"))
            self.assertEqual(int(direction, 0), 1 + index % 2)
            self.assertEqual(int(number, 0), index // 2)
            # XDP_REDIRECT; what is sent has passed no XDP program.
            self.assertEqual(verdict, "4" if index % 2 == 0 else "")
            self.assertRegex(comment, "^web dsr b")

    def test_snaplen_cuts_copies_and_keeps_lengths(self):
        process = self.capture("--service", "nat", "--snaplen", "60")
        self.request(NAT, "")
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(30), 0)
        packets = Capture(process.path).packets
        self.assertGreater(max(packet.length for packet in packets), 60)
        self.assertEqual(max(len(packet.data) for packet in packets), 60)

    def test_a_frame_over_the_mtu_is_there_with_the_answer(self):
        # Through the tunnel a full-size packet fits the lab's links, but not one of 1600 bytes.
        for node, device in (("switch", "to-client"), ("client", "eth0")):
            self.lab.run(node, "ip", "link", "set", device, "mtu", "1600")
            self.addCleanup(self.lab.run, node, "ip", "link", "set", device, "mtu", "1500")
        process = self.capture("--reason", "too_big", "-c", "1", "--seconds", "20")
        self.lab.run("client", "curl", "-sS", "-m", "5", "-o", "/dev/null", "-T", str(self.lab.random_file(1)),
                     f"http://{VIP}:{WEB}/name", check=False)
        pair, = self.finish(process, number=None).pairs().values()
        self.assertRegex(pair["in"].comment, r"^web dsr b[1-4] connection=hit worker=0 drop=too_big answered$")
        self.assertEqual(self.addresses(pair["out"]), (VIP, CLIENT))
        # ICMP: destination unreachable, fragmentation needed.
        self.assertEqual((pair["out"].data[23], pair["out"].data[34], pair["out"].data[35]), (1, 3, 4))
        drops = {drop["reason"]: drop for drop in self.lab.json("drops")["drops"]}
        self.assertRegex(drops["too_big"]["example"],
                         rf"^{CLIENT}:\d+ -> {VIP}:80/tcp, 1600 \+ 20 bytes over the MTU; ICMP sent$")


class Filters(LiveTest):
    def taken(self, *arguments, traffic=None):
        """The pairs of a capture during some requests to both services."""
        process = self.capture(*arguments)
        if traffic:
            traffic()
        else:
            for _ in range(4):
                self.request()
                self.request(NAT, "")
        return list(self.finish(process).pairs().values())

    def test_by_backend_and_by_client(self):
        pairs = self.taken("--backend", "web/b2", traffic=lambda: [self.request() for _ in range(30)])
        self.assertEqual({pair["in"].comment.split()[2] for pair in pairs}, {"b2"})
        pairs = self.taken("--client", CLIENT)
        self.assertEqual({pair["in"].comment.split()[0] for pair in pairs}, {"web", "nat"})
        # Replies as well: they go to the client, though they come from a backend.
        self.assertIn((VIP, CLIENT), {Pairs.addresses(pair["out"]) for pair in pairs})
        self.assertEqual(self.taken("--client", "20.1.1.99"), [])

    def test_by_syn_and_sample(self):
        pairs = self.taken("--syn", "--service", "web")
        self.assertEqual(len(pairs), 4)
        for pair in pairs:
            self.assertEqual(pair["in"].data[47] & 2, 2)
        everything = self.taken("--service", "web")
        some = self.taken("--service", "web", "--sample", "1/4")
        self.assertGreater(len(some), 0)
        self.assertLess(len(some), len(everything) / 2)

    def test_by_point(self):
        for point, there in (("rx", {"in"}), ("tx", {"out"})):
            self.assertEqual({direction for pair in self.taken("--point", point) for direction in pair}, there)
        self.assertEqual(self.taken("--point", "drop"), [])
        self.assertEqual({direction for pair in self.taken("--point", "rx", "--point", "tx") for direction in pair},
                         {"in", "out"})

    def test_by_a_program_of_tcpdumps(self):
        program = subprocess.run(["tcpdump", "-y", "EN10MB", "-ddd", f"dst port {NAT} and tcp[tcpflags] & tcp-push != 0"],
                                 check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
        pairs = self.taken("--bpf", program)
        # One request each, and nothing else has the flag.
        self.assertEqual(len(pairs), 4)
        for pair in pairs:
            self.assertIn(b"GET / HTTP", pair["in"].data)

    def test_a_count_ends_it(self):
        process = self.capture("-c", "7")
        while process.poll() is None:
            self.request()
        capture = self.finish(process, number=None)
        self.assertEqual(len(capture.pairs()), 7)
        self.assertIn("\n", process.summary)

    def test_seconds_end_it(self):
        process = self.capture("--seconds", "0.5")
        self.assertEqual(self.finish(process, number=None).packets, [])

    def test_a_filter_that_means_nothing_is_refused_and_no_file_is_made(self):
        for code, *arguments in ((3, "--service", "mail"), (3, "--backend", "web/b9"), (2, "--client", "nobody"),
                                 (2, "--reason", "bad_luck"), (2, "--sample", "4"), (2, "--point", "up"),
                                 (2, "--bpf", "tcp"), (2, "--bpf", "4611686018427387904"),
                                 (2, "-c", "0"), (2, "--snaplen", "0"), (2, "--seconds", "0")):
            with self.subTest(arguments):
                path = self.path()
                result = self.lab.command("capture", "-w", str(path), *arguments, check=False)
                self.assertEqual((result.returncode, path.exists()), (code, False), result.stderr)
                self.assertTrue(result.stderr.startswith(("xdplb: error: ", "Error: ")), result.stderr)


class TwoWorkers(LiveTest):
    QUEUES = 2

    def test_frames_of_both_workers_are_there_and_those_handed_over_once(self):
        # All next hops are known then.
        for _ in range(24):
            self.request(NAT, "")
        process = self.capture("--service", "nat")
        for _ in range(24):
            self.request(NAT, "")
        pairs = self.finish(process).pairs().values()
        comments = [pair["in"].comment for pair in pairs]
        self.assertEqual({re.search(r"worker=(\d)", comment)[1] for comment in comments}, {"0", "1"})
        handed = [pair for pair in pairs if pair["in"].comment.endswith(" handed-over")]
        self.assertGreater(len(handed), 0)
        for pair in pairs:
            self.assertEqual(set(pair), {"in", "out"}, pair["in"].comment)
            self.assertEqual(pair["in"].data[54:], pair["out"].data[54:])
        # Each frame is captured by one worker only.
        self.assertEqual(len({pair["in"].data for pair in pairs}), len(pairs))


if __name__ == "__main__":
    unittest.main()
