# SPDX-License-Identifier: Apache-2.0
"""plan and reload: what would change is said before, and a file is applied whole or not at all."""
import json
import re
import signal
import subprocess
import unittest

from lab import BACKENDS, VIP, XDPLB, Lab, wait_until


class Reload(unittest.TestCase):
    def setUp(self):
        self.lab = self.enterContext(Lab())
        self.file = self.lab.dir / "xdplb.yaml"
        self.write(BACKENDS)

    def write(self, names, mode="snat", weights=(), more="", interface=""):
        weights = dict(weights)
        backends = ", ".join(f"{{name: {name}, address: {BACKENDS[name]}, weight: {weights.get(name, 100)}}}" for name in names)
        self.file.write_text(f"""version: 1
interfaces: [{{name: eth0{interface}}}]
services:
  - {{name: web, vips: [{VIP}], ports: [80/tcp], mode: {mode}, drain_timeout: 60s, backends: [{backends}]}}
{more}""")

    def begin(self):
        self.lab.launch("--config", str(self.file))
        wait_until(lambda: self.lab.status()["ready"], "the daemon is ready")

    def shares(self):
        return {backend["name"]: backend["slots"] for backend in self.lab.json("backend", "list", "web")["backends"]
                if not backend["removed"]}

    def generation(self):
        return self.lab.status()["generation"]

    def metric(self, name):
        text = self.lab.run("lb", "curl", "-s", "http://127.0.0.1:9660/metrics").stdout
        return next(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name + " "))

    def test_plan_says_before_what_reload_does_and_changes_nothing(self):
        lab = self.lab
        self.begin()
        lab.requests(200, 4).finish()
        before = self.shares(), self.generation()
        self.write(["b1", "b2", "b3"], weights={"b1": 50})
        plan = lab.json("plan", str(self.file))
        self.assertEqual((self.shares(), self.generation()), before)
        text = "\n".join(plan["lines"])
        self.assertIn("backend b4 (20.1.1.40): removed", text)
        self.assertIn("backend b1: weight 100 -> 50", text)
        self.assertGreaterEqual(plan["moved_slots"], plan["least_moved_slots"])
        self.assertGreater(plan["finishing_connections"], 0)
        self.assertEqual(plan["ended_connections"], 0)

        report = lab.json("reload", "--wait")
        self.assertEqual(report["moved_slots"], plan["moved_slots"])
        self.assertEqual(report["ended_connections"], 0)
        expected = {name: float(share) for name, share in re.findall(r"(b\d) ([\d.]+) %", text)}
        total = sum(self.shares().values())
        for name, slots in self.shares().items():
            self.assertAlmostEqual(100 * slots / total, expected[name], delta=0.06)
        self.assertEqual(lab.json("plan", str(self.file))["entries"], [])

    def test_a_bad_file_is_refused_with_line_and_column_and_what_ran_runs_on(self):
        lab = self.lab
        self.begin()
        generation = self.generation()
        self.file.write_text(self.file.read_text().replace("weight: 100", "wieght: 100", 1))
        refused = lab.command("reload", "--wait", check=False)
        self.assertEqual(refused.returncode, 2)
        self.assertRegex(refused.stderr, r"xdplb.yaml:\d+:\d+: error: unknown key 'wieght'.*did you mean 'weight'")
        self.assertEqual(self.generation(), generation)
        self.assertEqual(self.metric("xdplb_config_last_reload_successful"), 0)
        self.assertIn("refused", lab.command("status").stdout)
        self.assertRegex((lab.dir / "xdplb.log").read_text(), "event=reload_refused")
        lab.requests(50, 2).finish()
        self.write(["b1", "b2"])
        lab.command("reload", "--wait")
        self.assertEqual(self.metric("xdplb_config_last_reload_successful"), 1)
        self.assertNotIn("refused", lab.command("status").stdout)

    def test_what_needs_a_restart_is_refused_as_a_whole_and_named(self):
        lab = self.lab
        self.begin()
        self.write(["b1"], interface=", rx_ring: 8192")
        plan = lab.command("plan", str(self.file), check=False)
        self.assertEqual(plan.returncode, 3)
        self.assertRegex(plan.stdout, r"! interfaces +interfaces.rx_ring 4096 -> 8192")
        refused = lab.command("reload", "--wait", check=False)
        self.assertEqual(refused.returncode, 3)
        self.assertIn("interfaces.rx_ring 4096 -> 8192", refused.stderr)
        self.assertEqual(set(self.shares()), set(BACKENDS), "the rest of the file was not applied either")

    def test_confirm_goes_back_by_itself_and_a_second_reload_keeps_it(self):
        lab = self.lab
        self.begin()
        lab.requests(100, 4).finish()
        self.write(["b1", "b2"])
        lab.command("reload", "--confirm", "1s")
        self.assertEqual(set(self.shares()), {"b1", "b2"})
        self.assertIn("undone at", lab.command("status").stdout)
        wait_until(lambda: set(self.shares()) == set(BACKENDS), "what ran before runs again")
        self.assertRegex((lab.dir / "xdplb.log").read_text(), "event=confirm_expired")
        self.assertEqual(lab.status()["file"], "differs")
        lab.command("reload", "--confirm", "60s")
        self.assertIn("confirmed", lab.command("reload").stdout)
        self.assertIsNone(lab.status()["confirm_until"])
        self.assertEqual(set(self.shares()), {"b1", "b2"})
        lab.requests(50, 2).finish()

    def states(self):
        return {b["name"]: (b["admin_state"], b["weight"]) for b in self.lab.json("backend", "list", "web")["backends"]}

    def test_an_undone_reload_keeps_what_commands_set_and_can_be_applied_again(self):
        lab = self.lab
        self.begin()
        self.write(BACKENDS, weights={"b1": 50})
        lab.command("reload", "--confirm", "2s")
        self.assertEqual(self.states()["b1"], ("active", 50))
        lab.command("backend", "drain", "web/b2")
        wait_until(lambda: self.states()["b1"] == ("active", 100), "the weight is as before")
        self.assertEqual(self.states()["b2"], ("draining", 100), "a command is not undone with the file")
        lab.command("reload")
        self.assertEqual((self.states()["b1"], self.states()["b2"]), (("active", 50), ("draining", 100)))
        self.assertEqual(json.loads((lab.dir / "state/backends.json").read_text())[0]["endpoint"], BACKENDS["b2"])

    def test_a_dry_run_of_a_reload_says_the_same_and_changes_nothing(self):
        lab = self.lab
        self.begin()
        self.write(["b1", "b2"])
        before = self.shares(), self.generation()
        rehearsed = lab.json("reload", "--dry-run")
        self.assertTrue(rehearsed["dry_run"])
        self.assertEqual((self.shares(), self.generation()), before)
        report = lab.json("reload")
        self.assertEqual(rehearsed["lines"], report["lines"])
        self.assertEqual(rehearsed["moved_slots"], report["moved_slots"])
        superseded = lab.run("lb", "curl", "-s", "--unix-socket", lab.socket, "-H", "If-Match: 1", "-d", "{}", "-w", "%{http_code}",
                             "-o", "/dev/null", "http://x/api/v1/reload")
        self.assertEqual(superseded.stdout, "412")

    def test_sighup_applies_the_file_and_connections_go_on(self):
        lab = self.lab
        self.begin()
        burst = lab.requests(3000, 6)
        for names in (["b1", "b2"], ["b2", "b3", "b4"], BACKENDS):
            self.write(names)
            lab.daemon.send_signal(signal.SIGHUP)
            wait_until(lambda: set(self.shares()) == set(names), f"{names} serve")
        burst.finish()

    def test_states_set_by_command_outlive_reload_and_restart_until_the_file_changes_them(self):
        lab = self.lab
        self.begin()
        lab.command("backend", "drain", "web/b1")
        lab.command("backend", "weight", "web/b2", "10")
        state = self.states
        lab.command("reload")
        self.assertEqual((state()["b1"], state()["b2"]), (("draining", 100), ("active", 10)))
        lab.stop()
        self.begin()
        self.assertEqual((state()["b1"], state()["b2"]), (("draining", 100), ("active", 10)))
        listed = {b["name"]: b for b in lab.json("backend", "list", "web")["backends"]}
        self.assertEqual(listed["b1"]["changed_by"], "root")
        self.write(BACKENDS, weights={"b2": 70})
        lab.command("reload")
        self.assertEqual((state()["b1"], state()["b2"]), (("draining", 100), ("active", 70)))

    def test_services_changed_by_command_last_until_the_reload_which_says_so(self):
        lab = self.lab
        self.begin()
        lab.command("service", "update", "--vip", f"{VIP}:80/tcp", "--backends", BACKENDS["b3"])
        self.assertEqual(lab.status()["file"], "differs")
        report = lab.command("reload").stdout
        self.assertIn("web: changes made by command are overwritten by the file", report)
        self.assertEqual(set(self.shares()), set(BACKENDS))
        self.assertEqual(lab.status()["file"], "same")

    def test_applied_files_are_kept_and_can_be_returned_to(self):
        lab = self.lab
        self.begin()
        first = lab.dir / "state/generations/1.yaml"
        self.assertEqual(first.read_text(), self.file.read_text(), "what the daemon began with is kept")
        self.write(["b1"])
        lab.command("reload")
        self.write(["b2"])
        lab.command("reload")
        kept = sorted((lab.dir / "state/generations").iterdir(), key=lambda path: int(path.stem))
        self.assertIn("20.1.1.10", kept[-2].read_text())
        compared = subprocess.run([XDPLB, "plan", kept[-2], "--against", kept[-1]], text=True, capture_output=True, check=True)
        self.assertIn("backend b2 (20.1.1.20): removed", compared.stdout)
        self.assertIn("backend b1 (20.1.1.10): added", compared.stdout)
        self.file.write_text(first.read_text())
        lab.command("reload")
        self.assertEqual(set(self.shares()), set(BACKENDS))
        # A restart with the same file pushes no other out.
        kept = len(list((lab.dir / "state/generations").iterdir()))
        lab.stop()
        self.begin()
        self.assertEqual(len(list((lab.dir / "state/generations").iterdir())), kept)

    def test_a_removed_service_ends_its_connections_and_a_new_one_serves(self):
        lab = self.lab
        self.begin()
        lab.requests(100, 4).finish()
        other = f"  - {{name: other, vips: [{VIP}], ports: [8080/tcp], mode: snat, backends: [{BACKENDS['b1']}]}}\n"
        text = self.file.read_text()
        self.file.write_text(text[:text.index("  - {name: web")] + other)
        report = lab.json("reload")
        self.assertGreater(report["ended_connections"], 0)
        self.assertEqual([service["name"] for service in lab.json("service", "list")["services"]], ["other"])
        answer = lab.run("client", "curl", "-s", "-m", "2", f"http://{VIP}:8080/name")
        self.assertEqual(answer.stdout.strip(), "ok", "the answer of the server at 8080")

    def test_a_daemon_without_a_file_says_that_there_is_nothing_to_reload(self):
        self.lab.start("snat")
        refused = self.lab.command("reload", check=False)
        self.assertEqual(refused.returncode, 3)
        self.assertIn("started from arguments", refused.stderr)


if __name__ == "__main__":
    unittest.main()
