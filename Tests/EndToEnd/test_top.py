# SPDX-License-Identifier: Apache-2.0
"""top: a screen on a terminal, a line a look when piped; progress for a person only."""
import os
import pty
import re
import select
import subprocess
import time
import unittest

from lab import VIP, WEB, XDPLB, Lab, backends, wait_until


class Terminal:
    """A command on a terminal of its own."""

    def __init__(self, lab, *arguments):
        self.leader, follower = pty.openpty()
        place = ["--admin-socket", lab.socket] if lab else []
        self.process = subprocess.Popen([XDPLB, *arguments, *place], stdin=follower, stdout=follower,
                                        stderr=follower, close_fds=True, env={**os.environ, "TERM": "xterm"})
        os.close(follower)
        self.text = ""

    def read(self, seconds=0.1):
        while select.select([self.leader], [], [], seconds)[0]:
            try:
                data = os.read(self.leader, 65536)
            except OSError:
                break
            if not data:
                break
            self.text += data.decode(errors="replace")
        return self.text

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.leader)


class Top(unittest.TestCase):
    def setUp(self):
        self.lab = self.enterContext(Lab())
        self.lab.start("snat", services=[f"{WEB}={backends(80)}"])

    def test_it_draws_on_the_alternate_screen_and_gives_the_terminal_back(self):
        self.lab.requests(300, 4).finish()
        for leave in ("q", "interrupt"):
            terminal = Terminal(self.lab, "top", "--every", "200ms")
            try:
                wait_until(lambda: f"{WEB}/20.1.1.10:80" in terminal.read(), "a screen is drawn")
                self.assertTrue(terminal.text.startswith("\x1b[?1049h"))
                if leave == "q":
                    os.write(terminal.leader, b"q")
                else:
                    terminal.process.send_signal(2)
                wait_until(lambda: (terminal.read(), terminal.process.poll())[1] is not None, "it ends")
                self.assertEqual(terminal.process.returncode, 0)
                self.assertTrue(terminal.read().endswith("\x1b[?1049l"), repr(terminal.text[-40:]))
            finally:
                terminal.close()

    def test_piped_it_prints_a_line_a_look_with_the_numbers_of_the_api(self):
        self.lab.requests(300, 4).finish()
        out = self.lab.command("top", "--every", "100ms", "--lines", "3").stdout
        lines = out.splitlines()
        self.assertEqual(len(lines), 4)
        self.assertNotIn("\x1b", out)
        self.assertRegex(lines[0], "^TIME +PACKETS/S +NEW/S +CONNECTIONS +DROPS/S +BUSY +ILL$")
        for line in lines[1:]:
            self.assertRegex(line, r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ( +\d+){4} +\d+% +\d+$")
        self.assertEqual(int(lines[-1].split()[3]), self.lab.status()["connections"]["used"])

    def test_a_wait_shows_a_bar_to_a_person_and_nothing_to_a_pipe(self):
        lab = self.lab
        download = subprocess.Popen(lab.in_node("client", "curl", "-s", "-o", "/dev/null", f"http://{VIP}/slow"))
        try:
            wait_until(lambda: lab.json("connections", "list")["connections"], "the download has begun")
            name = lab.json("connections", "list")["connections"][0]["backend"]
            piped = lab.command("backend", "drain", f"{WEB}/{name}", "--wait", "--timeout", "300ms", check=False)
            self.assertEqual(piped.returncode, 5)
            self.assertNotIn("\r", piped.stdout + piped.stderr)
            terminal = Terminal(lab, "backend", "drain", f"{WEB}/{name}", "--wait", "--timeout", "600ms")
            try:
                wait_until(lambda: terminal.process.poll() is not None, "the wait is over")
                self.assertRegex(terminal.read(), r"\[[#-]{24}\]  \d+ left")
            finally:
                terminal.close()
        finally:
            download.kill()
            download.wait()

    def test_a_delete_that_drains_shows_a_bar_to_a_person_and_gives_up_in_time(self):
        lab = self.lab
        download = subprocess.Popen(lab.in_node("client", "curl", "-s", "-o", "/dev/null", f"http://{VIP}/slow"))
        try:
            wait_until(lambda: lab.json("connections", "list")["connections"], "the download has begun")
            piped = lab.command("service", "delete", WEB, "--drain", "--timeout", "300ms", check=False)
            self.assertEqual((piped.returncode, piped.stdout), (5, ""))
            self.assertRegex(piped.stderr, rf"^xdplb: error: {WEB}: \d+ connections are left after \S+\. It is not deleted, and takes "
                             r"new ones as before; 'xdplb connections list --service \S+' shows them\n$")
            wait_until(lambda: lab.run("client", "curl", "-s", "-m", "1", f"http://{VIP}/name", check=False).returncode == 0,
                       "it takes new connections as before")
            terminal = Terminal(lab, "service", "delete", WEB, "--drain")
            try:
                wait_until(lambda: re.search(r"\[[#-]{24}\]  \d+ left", terminal.read()), "the bar is shown")
                download.kill()
                wait_until(lambda: (terminal.read(), terminal.process.poll())[1] is not None, "it is deleted")
                self.assertEqual(terminal.process.returncode, 0)
                self.assertIn("deleted", terminal.text)
            finally:
                terminal.close()
        finally:
            download.kill()
            download.wait()

    def test_a_bench_and_a_capture_show_how_far_they_are_to_a_person_only(self):
        for arguments in (["bench", "--flows", "1000", "--seconds", "1"], ["capture", "-w", str(self.lab.dir / "top.pcapng"), "--seconds", "2"]):
            with self.subTest(arguments[0]):
                terminal = Terminal(self.lab if arguments[0] == "capture" else None, *arguments)
                try:
                    wait_until(lambda: (terminal.read(), terminal.process.poll())[1] is not None, "it ends", 60)
                    self.assertEqual(terminal.process.returncode, 0, terminal.text)
                    self.assertRegex(terminal.text, r"\[[#-]{24}\]  ")
                    self.assertRegex(terminal.text, r"measuring, \d\.\d of 1\.0 s" if arguments[0] == "bench" else r"0 frames, 0 lost, \S+ left")
                finally:
                    terminal.close()
                place = [] if arguments[0] == "bench" else ["--admin-socket", self.lab.socket]
                piped = subprocess.run([XDPLB, *arguments, *place], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=True)
                self.assertNotIn("\r", piped.stdout + piped.stderr)
                self.assertNotIn("\x1b", piped.stdout + piped.stderr)


if __name__ == "__main__":
    unittest.main()
