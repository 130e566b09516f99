# SPDX-License-Identifier: Apache-2.0
"""The command line: exit codes, refusals that change nothing, and bad configuration files."""
import os
import pathlib
import re
import subprocess
import unittest

from lab import ROOT, WEB, XDPLB, Lab, backends

FIXTURES = ROOT / "Tests/ControlPlaneTests/Fixtures"


def xdplb(*arguments):
    return subprocess.run([XDPLB, *arguments], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)


class BadConfiguration(unittest.TestCase):
    def test_each_bad_file_gives_exactly_its_message_and_exits_2(self):
        files = sorted((FIXTURES / "bad").glob("*.yaml"))
        self.assertGreaterEqual(len(files), 40)
        for file in files:
            with self.subTest(file.stem):
                result = subprocess.run([XDPLB, "check", "--offline", file.name], cwd=file.parent, text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
                self.assertEqual(result.returncode, 2)
                self.assertEqual(result.stdout, file.with_suffix(".expected").read_text())
                self.assertRegex(result.stdout.split("\n")[0], r"^[\w-]+\.yaml:\d+:\d+: error: \S")
                # The daemon refuses it as well, before it touches anything.
                run = xdplb("run", "--config", str(file))
                self.assertEqual(run.returncode, 2, run.stderr)

    def test_good_files_are_good(self):
        for file in sorted((FIXTURES / "good").glob("*")) + [ROOT / "deploy/xdplb.yaml"]:
            with self.subTest(file.name):
                result = xdplb("check", "--offline", str(file))
                self.assertEqual((result.returncode, result.stderr), (0, ""), result.stdout)


class Arguments(unittest.TestCase):
    def test_help_of_every_command_reads_well(self):
        commands = [[], ["run"], ["check"], ["status"], ["version"], ["connections"], ["maglev"], ["neighbours"],
                    ["service"], ["backend"], ["mode"], ["decap"], ["drops"], ["capture"]]
        commands += [["service", name] for name in ("list", "show", "update", "delete")]
        commands += [["backend", name] for name in ("list", "drain", "undrain", "disable", "weight")]
        commands += [["connections", name] for name in ("list", "count", "flush")]
        commands += [["decap", name] for name in ("attach", "detach", "status")]
        commands += [["mode", "set"], ["maglev", "show"], ["neighbours", "list"]]
        for command in commands:
            with self.subTest(" ".join(command)):
                result = xdplb(*command, "--help")
                self.assertEqual(result.returncode, 0)
                self.assertTrue(result.stdout.startswith("OVERVIEW: "), result.stdout[:80])
                self.assertIn("USAGE: xdplb " + " ".join(command), result.stdout)

    def test_exit_codes(self):
        for code, arguments in [
                (2, ["run"]), (2, ["nonsense"]), (2, ["run", "--interface", "lo", "--mode", "nat"]),
                (2, ["run", "--interface", "lo", "--service", "40.1.1.1:80/tcp"]),
                (2, ["run", "--interface", "lo", "--mode", "dsr", "--service", "40.1.1.1:80/tcp=10.0.0.1:81"]),
                (2, ["run", "--interface", "lo", "--mode", "dsr", "--service", "[2001:db8::1]:80/tcp=[2001:db8::2]:81"]),
                (2, ["run", "--interface", "lo", "--mode", "snat", "--service", "[2001:db8::1]:80/tcp=10.0.0.1"]),
                (2, ["run", "--interface", "lo", "--mode", "snat", "--service", "40.1.1.0/24:any/udp=10.0.0.1:81"]),
                (3, ["run", "--interface", "none0", "--mode", "dsr", "--state-directory", "/tmp/xdplb-none"]),
                (4, ["status", "--admin-socket", "/tmp/xdplb-none.sock"]), (2, ["connections", "flush"]),
                (2, ["check", "/tmp/xdplb-none.yaml"]), (0, ["version"]), (0, ["--version"]), (2, ["upgrade"]),
                (2, ["service", "delete", WEB, "--drain", "--timeout", "5"])]:
            with self.subTest(" ".join(arguments)):
                result = xdplb(*arguments)
                self.assertEqual(result.returncode, code, result.stdout + result.stderr)
                if code:
                    self.assertNotEqual(result.stderr + result.stdout, "")


    def test_the_version_names_what_it_is_made_of_and_what_the_kernel_can(self):
        unprivileged = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all"]
        for user in ([], unprivileged):
            result = subprocess.run([*user, XDPLB, "version"], stdout=subprocess.PIPE, text=True)
            self.assertEqual(result.returncode, 0)
            self.assertRegex(result.stdout, r"^xdplb \S+, commit \w+, Swift 6\.\d.*, libxdp v1\.\d+\.\d+, libbpf v\d\S+, Linux "
                             + re.escape(os.uname().release) + "\n")
            self.assertRegex(result.stdout, r"\nfeatures: AF_XDP \w+, BPF JIT \w+, BTF \w+, netdev feature query \w+\n$")
        # Nobody may make such a socket, so it is not known.
        self.assertIn("AF_XDP unknown", result.stdout)

    def test_commands_of_later_versions_are_refused_by_name(self):
        for more in ([], ["--binary", "/usr/bin/xdplb"], ["--rollback"]):
            result = xdplb("upgrade", *more)
            self.assertEqual(result.returncode, 2)
            self.assertIn("'upgrade' is not in this version", result.stderr)


class Refusals(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = cls.enterClassContext(Lab())
        cls.lab.start("snat", services=[f"{WEB}={backends(80)}", f"40.1.1.1:53/udp={backends(5353)}"])

    def refused(self, code, words, *arguments):
        generation = self.lab.status()["generation"]
        result = self.lab.command(*arguments, check=False)
        self.assertEqual(result.returncode, code, result.stdout + result.stderr)
        self.assertIn(words, result.stderr)
        self.assertTrue(result.stderr.startswith("xdplb: error: "), result.stderr)
        self.assertEqual(self.lab.status()["generation"], generation, "something was changed")

    def test_refusals_name_fact_and_consequence_and_change_nothing(self):
        self.refused(3, "dsr cannot translate ports", "mode", "set", "40.1.1.1:53/udp", "dsr")
        self.refused(3, "there is no service nope", "service", "show", "nope")
        self.refused(3, "has no backend 9.9.9.9", "backend", "drain", f"{WEB}/9.9.9.9")
        self.refused(2, "neither dsr nor snat", "mode", "set", WEB, "nat")
        self.refused(2, "outside 0...65535", "backend", "weight", f"{WEB}/20.1.1.10:80", "65536")
        self.refused(2, "not an IP or IP:PORT", "service", "update", "--vip", WEB, "--backends", "20.1.1.10:80,nonsense")
        self.refused(2, "is named twice", "service", "update", "--vip", WEB, "--backends", "20.1.1.10:80,20.1.1.10:80")
        self.refused(2, "'p9', which is not defined", "service", "update", "--vip", WEB, "--backends", "20.1.1.10:80", "--snat-pool", "p9")

    def test_a_dry_run_says_what_would_happen_and_does_nothing(self):
        generation = self.lab.status()["generation"]
        planned = self.lab.json("backend", "drain", f"{WEB}/20.1.1.10:80", "--dry-run")
        self.assertTrue(planned["dry_run"])
        self.assertGreater(planned["moved_slots"], 0)
        self.assertEqual(self.lab.status()["generation"], generation)

    def test_weights_decide_the_shares_at_once(self):
        self.lab.command("backend", "weight", f"{WEB}/20.1.1.10:80", "300")
        shares = {b["address"]: b["share"] for b in self.lab.json("maglev", "show", WEB)["backends"]}
        self.assertAlmostEqual(shares["20.1.1.10:80"], 0.5, places=3)
        self.lab.command("backend", "weight", f"{WEB}/20.1.1.10:80", "100")

    def test_the_configuration_of_a_service_can_be_pasted_into_a_file(self):
        shown = self.lab.json("service", "show", WEB)["configuration"]
        indented = "".join("  " + line + "\n" for line in shown.splitlines())
        file = self.lab.dir / "pasted.yaml"
        file.write_text("version: 1\ninterfaces: [{name: eth0}]\nservices:\n" + indented)
        checked = xdplb("check", "--offline", str(file))
        self.assertEqual(checked.returncode, 0, checked.stdout)

    def test_draining_with_wait_ends_when_no_connection_is_left(self):
        drained = self.lab.command("backend", "drain", f"{WEB}/20.1.1.20:80", "--wait", "--timeout", "5s")
        self.assertIn("no connection left", drained.stdout)
        self.lab.command("backend", "undrain", f"{WEB}/20.1.1.20:80")


if __name__ == "__main__":
    unittest.main()
