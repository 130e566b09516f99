# SPDX-License-Identifier: Apache-2.0
"""What a host does not allow is refused at the start as it is by check; what needs no restart follows a reload."""
import unittest

from api import CONFIGURATION, POOL, ApiLab
from lab import BACKENDS, VIP, XDPLB, wait_until


class Start(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = cls.enterClassContext(ApiLab())

    def test_what_check_refuses_on_this_host_run_refuses_in_the_same_words(self):
        addresses = ", ".join(BACKENDS.values())
        for pool, more, words in [
                (POOL, "workers: {cores: [1000]}\n", "core 1000 is not online or not allowed"),
                (POOL.replace("2000-2999", "2000-40000"), "", "SNAT pool 'p1' has an address of this host and ports that the kernel")]:
            with self.subTest(words):
                file = self.lab.dir / "xdplb.yaml"
                file.write_text(CONFIGURATION % (pool, VIP, addresses, VIP, addresses) + more)
                checked = self.lab.run("lb", XDPLB, "check", str(file), check=False)
                self.assertEqual(checked.returncode, 2, checked.stdout)
                self.assertIn(words, checked.stdout)
                run = self.lab.run("lb", XDPLB, "run", "--config", str(file), "--admin-socket", self.lab.socket,
                                   "--state-directory", str(self.lab.dir / "state"), check=False)
                self.assertEqual(run.returncode, 3, run.stderr)
                self.assertIn(words, run.stderr)


class Reload(unittest.TestCase):
    def test_the_level_of_the_log_follows_a_reload(self):
        lab = self.enterContext(ApiLab())
        lab.serve("log: {level: warning}\n")
        log, file = lab.dir / "xdplb.log", lab.dir / "xdplb.yaml"
        self.assertNotIn("generation_applied", log.read_text())
        file.write_text(file.read_text().replace("level: warning", "level: info"))
        self.assertIn("log.level warning -> info", lab.command("reload", "--wait").stdout)
        lab.command("backend", "drain", "web/20.1.1.10")
        wait_until(lambda: "generation_applied" in log.read_text(), "the change is in the log")


if __name__ == "__main__":
    unittest.main()
