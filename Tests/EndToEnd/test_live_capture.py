# SPDX-License-Identifier: Apache-2.0
"""Captures and drops of a running load balancer: tshark reads what was captured, and the frames are counted."""
import json
import os
import re
import signal
import subprocess
import threading
import unittest

from capture import faults, tshark
from lab import BACKENDS, VIP, XDPLB, Lab, wait_until
from pcapng import DELIVERED, LOST, RECEIVED, Capture

CLIENT, LOAD_BALANCER = "20.1.1.100", "20.1.1.1"
# Ports: `dsr`, `snat`, and one that is for others.
WEB, NAT, CLOSED = 80, 8080, 81


def configuration():
    """One service of each kind, as JSON, which YAML includes."""
    def service(name, port, mode, **more):
        backends = [{"name": node, "address": address} for node, address in BACKENDS.items()]
        return {"name": name, "vips": [VIP], "ports": [f"{port}/tcp"], "mode": mode, "backends": backends, **more}
    return json.dumps({"version": 1, "interfaces": [{"name": "eth0"}], "services": [
        service("web", WEB, "dsr"), service("nat", NAT, "snat"),
        service("closed", CLOSED, "dsr", source_ranges=["192.0.2.0/24"])]})


class LiveTest(unittest.TestCase):
    """A lab whose daemon runs for all tests of a class."""

    QUEUES = 1

    @classmethod
    def setUpClass(cls):
        cls.lab = cls.enterClassContext(Lab(cls.QUEUES))
        cls.lab.decapsulate()
        cls.start()

    @classmethod
    def start(cls):
        path = cls.lab.dir / "xdplb.yaml"
        path.write_text(configuration())
        cls.lab.launch("--config", str(path))
        wait_until(lambda: cls.lab.status()["ready"], "the daemon is ready")

    # Captures

    def path(self):
        return self.lab.dir / f"{self.id().rsplit('.', 1)[1]}-{len(self.lab.processes)}.pcapng"

    def capture(self, *arguments, path=None):
        """Starts a capture and returns when it has begun."""
        path = path or self.path()
        process = self.launch("-w", str(path), *arguments)
        wait_until(lambda: process.poll() is not None or path.exists() and path.stat().st_size > 0, "the capture begins")
        process.path = path
        return process

    def launch(self, *arguments, stdout=subprocess.DEVNULL):
        process = subprocess.Popen([XDPLB, "capture", *arguments, "--admin-socket", self.lab.socket], stdout=stdout,
                                   stderr=subprocess.PIPE, text=True)
        self.lab.processes.append(process)
        return process

    def finish(self, process, number=signal.SIGINT, code=0):
        """Ends a capture as Ctrl-C does; returns what was captured. All of it must be sound."""
        if number and process.poll() is None:
            process.send_signal(number)
        process.summary = process.communicate(timeout=30)[1]
        self.assertEqual(process.returncode, code, process.summary)
        capture = Capture(process.path)
        self.assertEqual(faults(process.path), [])
        return capture

    # Traffic

    def request(self, port=WEB, path="name", seconds=5, check=True):
        return self.lab.run("client", "curl", "-sS", "-m", str(seconds), f"http://{VIP}:{port}/{path}", check=check)

    def log(self):
        return (self.lab.dir / "xdplb.log").read_text()


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


class Readers(LiveTest):
    """What readers, disks and other users may do to a capture, and what that does to the daemon."""

    def ends(self):
        """Why captures have ended so far."""
        return re.findall(r"event=capture_ended because=(\w+)", self.log())

    def upload(self, megabytes):
        return self.lab.run("client", "curl", "-sS", "-m", "120", "-o", "/dev/null", "-T",
                            str(self.lab.random_file(megabytes)), f"http://{VIP}:{NAT}/")

    def test_what_a_slow_reader_loses_is_counted_and_nobody_waits_for_it(self):
        reader, writer = os.pipe()
        process = self.launch("-w", "-", "--service", "nat", stdout=writer)
        os.close(writer)
        wait_until(lambda: "event=capture_started" in self.log().rsplit("event=capture_ended", 1)[-1], "the capture begins")
        # Nobody reads: the pipe, the socket and the ring fill up, and the traffic goes on.
        self.upload(60)
        self.assertEqual(self.drops("tx_full"), 0)
        path = self.path()
        with open(path, "wb") as file, open(reader, "rb") as pipe:
            drain = threading.Thread(target=lambda: file.writelines(iter(lambda: pipe.read1(1 << 20), b"")))
            drain.start()
            wait_until(lambda: path.stat().st_size > 1 << 20, "the reader goes on")
            process.send_signal(signal.SIGINT)
            summary = process.communicate(timeout=60)[1]
            drain.join()
        self.assertEqual(process.returncode, 0, summary)
        capture = Capture(path)
        self.assertGreater(capture.statistics[LOST], 1000)
        self.assertEqual(capture.statistics[RECEIVED], capture.statistics[LOST] + len(capture.pairs()))
        self.assertRegex(summary, rf"^{len(capture.pairs())} frames, {capture.statistics[LOST]} lost, ")
        self.assertEqual(faults(path), [])

    def drops(self, reason):
        return self.lab.status()["drops"].get(reason, 0)

    def test_a_full_disk_ends_it_with_a_file_that_can_be_read(self):
        small = self.lab.dir / "small"
        small.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(small)], check=True)
        self.addCleanup(subprocess.run, ["umount", str(small)], check=True)
        before = len(self.ends())
        process = self.capture("--service", "nat", path=small / "full.pcapng")
        self.upload(2)
        capture = self.finish(process, number=None, code=3)
        frames = len(capture.pairs())
        self.assertGreater(frames, 20)
        self.assertRegex(process.summary, rf"cannot write any more to {process.path}: No space left on device\. {frames} frames")
        self.assertEqual(len(tshark(process.path, "frame")), len(capture.packets))
        wait_until(lambda: self.ends()[before:] == ["reader_gone"], "the daemon notices")
        self.assertIn(self.request().stdout.strip(), BACKENDS)

    def test_a_reader_that_is_killed_does_the_daemon_no_harm(self):
        before = len(self.ends())
        process = self.capture("--service", "web")
        self.request()
        process.kill()
        process.communicate()
        wait_until(lambda: self.ends()[before:] == ["reader_gone"], "the daemon notices")
        again = self.capture("--service", "web")
        self.request()
        self.assertGreater(len(self.finish(again).pairs()), 0)

    def test_it_lasts_as_long_as_it_was_told_and_not_as_long_as_other_answers_may(self):
        # Others are cut after 30 s (AdminClients).
        process = self.capture("--service", "web", "--seconds", "32")
        process.wait(60)
        self.request()
        self.finish(process, number=None)
        self.assertEqual(self.ends()[-1], "time")

    def test_a_pipe_whose_reader_leaves_ends_it(self):
        reader, writer = os.pipe()
        process = self.launch("-w", "-", stdout=writer)
        os.close(writer)
        os.read(reader, 1)
        os.close(reader)
        summary = process.communicate(timeout=30)[1]
        self.assertEqual(process.returncode, 0, summary)

    def test_a_reader_that_hangs_does_not_keep_others_from_capturing_or_the_daemon_from_stopping(self):
        for end in (lambda: self.lab.command("capture", "--stop"), lambda: self.assertEqual(self.lab.stop(), 0)):
            reader, writer = os.pipe()
            process = self.launch("-w", "-", "--service", "nat", "--seconds", "600", stdout=writer)
            os.close(writer)
            os.read(reader, 1)
            self.upload(20)
            before = len(self.ends())
            end()
            wait_until(lambda: len(self.ends()) > before, "the capture ends")
            os.close(reader)
            process.communicate(timeout=30)
        self.start()

    def test_a_second_capture_is_refused_with_who_takes_the_first_and_can_be_ended(self):
        first = self.capture("--service", "web", "--seconds", "600")
        path = self.path()
        second = self.lab.command("capture", "-w", str(path), check=False)
        self.assertEqual((second.returncode, path.exists()), (3, False))
        self.assertRegex(second.stderr, r"a capture by root is running since \S+ \(service web\) and ends within (5\d\d|600) s; only one can run")
        self.assertEqual(self.lab.command("capture", "--stop").returncode, 0)
        self.finish(first, number=None)
        self.assertEqual(self.ends()[-1], "ended")
        self.assertEqual(self.lab.command("capture", "--stop", check=False).returncode, 3)

    def test_a_daemon_that_stops_ends_it_in_order(self):
        process = self.capture("--seconds", "600")
        self.request()
        self.assertEqual(self.lab.stop(), 0)
        self.addCleanup(self.start)
        self.assertGreater(len(self.finish(process, number=None).pairs()), 0)
        self.assertEqual(self.ends()[-1], "stopping")

    def test_a_daemon_that_dies_leaves_a_file_that_can_be_read(self):
        process = self.capture("--seconds", "600")
        self.request()
        wait_until(lambda: len(Capture(process.path).packets) > 0, "frames are in the file")
        self.lab.daemon.send_signal(signal.SIGKILL)
        self.lab.daemon.wait()
        self.addCleanup(self.start)
        self.assertGreater(len(self.finish(process, number=None, code=4).pairs()), 0)
        self.assertIn("closed the connection before the end of its reply", process.summary)


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
