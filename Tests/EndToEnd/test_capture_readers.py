# SPDX-License-Identifier: Apache-2.0
"""Readers of captures that are slow, leave, hang or die, and disks that are full."""
import os
import re
import signal
import subprocess
import threading
import unittest

from capture import faults, tshark
from lab import BACKENDS, VIP, wait_until
from live import NAT, LiveTest
from pcapng import LOST, RECEIVED, Capture


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


if __name__ == "__main__":
    unittest.main()
