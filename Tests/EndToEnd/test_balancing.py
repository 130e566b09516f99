# SPDX-License-Identifier: Apache-2.0
"""Real traffic through both modes, with one queue and with two, and changes under load."""
import hashlib
import subprocess
import unittest

from lab import BACKENDS, SINK, VIP, WEB, XDPLB, Lab, backends, wait_until


def digest(path):
    sha = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            sha.update(block)
    return sha.hexdigest()


# Answers datagrams with the backend's name, from the address that was asked.
UDP_ECHO = """if True:
    import select, socket, sys
    sockets = []
    for address in sys.argv[1:]:
        sockets.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        sockets[-1].bind((address, 5353))
    while True:
        for ready in select.select(sockets, [], [])[0]:
            data, peer = ready.recvfrom(2048)
            ready.sendto(sys.argv[2].encode(), peer)
"""

# Asks from as many sockets; a connected one hears nobody but the VIP.
UDP_ASK = """if True:
    import socket, sys
    for number in range(int(sys.argv[2])):
        asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        asking.settimeout(5)
        asking.connect((sys.argv[1], 5353))
        asking.send(b"who")
        print(asking.recv(2048).decode())
"""


class Balancing:
    """The cases; subclasses say how many queues."""

    queues = 1

    @classmethod
    def setUpClass(cls):
        cls.lab = Lab(cls.queues).__enter__()
        cls.addClassCleanup(cls.lab.__exit__)
        cls.lab.decapsulate()
        cls.lab.start("snat")

    def setUp(self):
        self.lab.command("service", "update", "--vip", WEB, "--backends", backends(80), "--mode", "snat")
        self.lab.command("service", "update", "--vip", SINK, "--backends", backends(8080), "--mode", "snat")

    def tearDown(self):
        self.frames_are_conserved()

    def frames_are_conserved(self):
        """Every chunk has one owner, and none is in our hands when nothing moves."""
        def settled():
            return all(worker["chunks"]["rx"] == 0 for worker in self.lab.status()["workers"])
        wait_until(settled, "no chunk is in a worker's hands")
        for worker in self.lab.status()["workers"]:
            self.assertEqual(sum(worker["chunks"].values()), 16384, worker)

    def set_mode(self, mode):
        for service in (WEB, SINK):
            self.lab.command("mode", "set", service, mode)

    def burst(self, mode, count):
        self.set_mode(mode)
        shares = self.lab.requests(count).finish()
        for name, seen in shares.items():
            # Five standard deviations of a fair draw with a chance of a quarter.
            self.assertAlmostEqual(seen, count / 4, delta=5 * (count * 3 / 16) ** 0.5, msg=f"{name}: {shares}")

    def test_10_000_requests_in_snat_mode(self):
        self.burst("snat", 10_000)

    def test_10_000_requests_in_dsr_mode(self):
        self.burst("dsr", 10_000)

    def transfer(self, mode):
        self.set_mode(mode)
        large = self.lab.random_file(200)
        expected = digest(large)
        for node in BACKENDS:
            link = self.lab.dir / node / "www" / "transfer"
            if not link.exists():
                link.symlink_to(large)
        target = self.lab.dir / f"download-{mode}"
        self.lab.run("client", "curl", "-sS", "--fail", "-m", "240", "-o", str(target), f"http://{VIP}/transfer")
        self.assertEqual(digest(target), expected, "the download is not intact")
        answer = self.lab.run("client", "curl", "-sS", "--fail", "-m", "240", "-T", str(large), f"http://{VIP}:8080/upload")
        self.assertEqual(answer.stdout.strip(), expected, "the upload is not intact")

    def test_a_200_megabyte_download_and_upload_in_snat_mode(self):
        self.transfer("snat")

    def test_a_200_megabyte_download_and_upload_in_dsr_mode(self):
        self.transfer("dsr")

    def under_load(self, change, count=4000):
        """Runs a change in the middle of a burst, in which no request may fail."""
        burst = self.lab.requests(count)
        wait_until(lambda: len(burst.answers()) > count // 8, "the burst is running")
        result = change()
        self.assertTrue(burst.is_running(), "the burst was over before the change")
        return burst.finish(), result

    def test_a_mode_change_under_load_loses_nothing(self):
        def there_and_back():
            for mode in ("dsr", "snat", "dsr"):
                self.lab.command("mode", "set", WEB, mode)
        self.under_load(there_and_back)

    def test_a_drain_under_load_loses_nothing_and_gives_no_new_connections(self):
        for mode in ("snat", "dsr"):
            self.set_mode(mode)
            self.under_load(lambda: self.lab.command("backend", "drain", f"{WEB}/20.1.1.20:80"))
            self.assertEqual(self.lab.requests(400).finish()["b2"], 0)
            self.lab.command("backend", "undrain", f"{WEB}/20.1.1.20:80")

    def test_a_backend_added_under_load_gets_connections_and_nothing_is_lost(self):
        self.lab.command("service", "update", "--vip", WEB, "--backends", backends(80, "b1", "b2"))
        shares, _ = self.under_load(
            lambda: self.lab.command("service", "update", "--vip", WEB, "--backends", backends(80, "b1", "b2", "b3")))
        self.assertGreater(shares["b3"], 0)
        self.assertEqual(shares["b4"], 0)

    def test_connections_of_a_removed_backend_may_finish(self):
        for mode in ("snat", "dsr"):
            self.set_mode(mode)
            self.lab.command("service", "update", "--vip", WEB, "--backends", backends(80, "b1"))
            target = self.lab.dir / "slow"
            target.unlink(missing_ok=True)
            download = self.lab.spawn("client", "curl", "-sS", "--fail", "-o", str(target), f"http://{VIP}/slow")
            wait_until(lambda: target.exists() and target.stat().st_size > 0, "the download has begun")
            self.lab.command("service", "update", "--vip", WEB, "--backends", backends(80, "b2"))
            self.assertEqual(self.lab.requests(50).finish()["b2"], 50)
            self.assertEqual(download.wait(120), 0)
            self.assertEqual(digest(target), digest(self.lab.dir / "large"))
            self.lab.command("service", "update", "--vip", WEB, "--backends", backends(80))

    def test_deleting_a_service_ends_its_connections_and_no_others(self):
        target = self.lab.dir / "kept"
        target.unlink(missing_ok=True)
        # In dsr, as a connection that ends there is picked up again by the service that comes back.
        download = self.lab.spawn("client", "curl", "-sS", "--fail", "-o", str(target), f"http://{VIP}/slow")
        wait_until(lambda: target.exists() and target.stat().st_size > 0, "the download has begun")
        self.assertEqual(self.lab.run("client", "curl", "-sS", "-m", "5", f"http://{VIP}:8080/").stdout, "ok\n")
        deleted = self.lab.json("service", "delete", SINK)
        self.assertGreater(deleted["ended_connections"], 0)
        self.assertNotEqual(self.lab.run("client", "curl", "-s", "-m", "1", f"http://{VIP}:8080/", check=False).returncode, 0)
        self.lab.command("service", "update", "--vip", SINK, "--backends", backends(8080), "--mode", "snat")
        wait_until(lambda: self.lab.run("client", "curl", "-s", "-m", "1", f"http://{VIP}:8080/", check=False).returncode == 0,
                   "the service is back")
        self.assertEqual(download.wait(120), 0)
        self.assertEqual(digest(target), digest(self.lab.dir / "large"))

    def test_deleting_with_drain_waits_for_connections_in_use_and_takes_no_new_ones(self):
        target = self.lab.dir / "drained"
        target.unlink(missing_ok=True)
        download = self.lab.spawn("client", "curl", "-sS", "--fail", "-o", str(target), f"http://{VIP}/slow")
        wait_until(lambda: target.exists() and target.stat().st_size > 0, "the download has begun")
        delete = subprocess.Popen([XDPLB, "service", "delete", WEB, "--drain", "--admin-socket", self.lab.socket],
                                  stdout=subprocess.PIPE, text=True)
        self.lab.processes.append(delete)
        wait_until(lambda: self.lab.run("client", "curl", "-s", "-m", "0.3", f"http://{VIP}/name", check=False).returncode,
                   "no new connection is taken")
        self.assertIsNone(delete.poll(), "it was deleted before the download ended")
        self.assertEqual(download.wait(120), 0)
        self.assertEqual(digest(target), digest(self.lab.dir / "large"))
        self.assertIn("deleted", delete.communicate(timeout=30)[0])
        self.assertEqual(delete.returncode, 0)

    def slow_download(self):
        """A download that takes seconds, and has begun."""
        target = self.lab.dir / "slow"
        target.unlink(missing_ok=True)
        download = self.lab.spawn("client", "curl", "-sS", "--fail", "-o", str(target), f"http://{VIP}/slow")
        wait_until(lambda: target.exists() and target.stat().st_size > 0, "the download has begun")
        return download

    def test_a_drain_that_nobody_waits_for_any_more_deletes_nothing(self):
        download = self.slow_download()
        delete = subprocess.Popen([XDPLB, "service", "delete", WEB, "--drain", "--admin-socket", self.lab.socket])
        self.lab.processes.append(delete)
        wait_until(lambda: self.lab.json("service", "show", WEB)["service"]["eligible"] == 0, "the service is drained")
        delete.terminate()
        delete.wait(10)
        wait_until(lambda: self.lab.json("service", "show", WEB)["service"]["eligible"] == 4, "the service goes on")
        self.assertEqual(download.wait(120), 0)
        self.lab.requests(100).finish()

    def test_what_a_deletion_with_drain_would_be_refused_for_is_told_before_anything_is_drained(self):
        current = self.lab.status()["generation"]
        delete = lambda generation, *more: self.lab.run(
            "lb", "curl", "-s", "--unix-socket", self.lab.socket, "-X", "DELETE", "-H", f"If-Match: {generation}", *more,
            f"http://x/api/v1/services/{WEB.replace('/', '%2F')}?drain=true")
        self.assertIn("outdated", delete(current - 1).stdout)
        self.assertEqual(self.lab.json("service", "show", WEB)["service"]["eligible"], 4)
        self.lab.command("connections", "flush", "--all")
        self.assertIn("deleted", delete(current).stdout)

    def test_a_backend_removed_without_time_ends_its_connections_at_once(self):
        self.lab.command("connections", "flush", "--all")
        self.lab.requests(200).finish()
        counted = self.lab.json("connections", "count", "--backend", f"{WEB}/20.1.1.40:80")["count"]
        update = ["service", "update", "--vip", WEB, "--backends", backends(80, "b1", "b2", "b3"), "--drain-timeout", "0s"]
        rehearsed = self.lab.json(*update, "--dry-run")
        report = self.lab.json(*update)
        self.assertGreater(counted, 0)
        self.assertEqual((rehearsed["ended_connections"], report["ended_connections"]), (counted, counted))
        self.assertEqual(rehearsed["lines"][-1], f"  connections: {counted} would end")
        self.assertEqual(report["lines"][-1], f"  connections: {counted} ended")

    def test_draining_says_how_many_connections_stay(self):
        self.lab.command("connections", "flush", "--all")
        self.lab.requests(200).finish()
        counted = self.lab.json("connections", "count", "--backend", f"{WEB}/20.1.1.20:80")["count"]
        report = self.lab.json("backend", "drain", f"{WEB}/20.1.1.20:80")
        self.assertEqual(report["lines"][-1], f"  connections: {counted} stay until they end")
        status = self.lab.command("status").stdout
        self.assertRegex(status, r"40\.1\.1\.1:80/tcp: 3 of 4 backends eligible: 20\.1\.1\.20:80 draining \(\d")
        self.lab.command("backend", "undrain", f"{WEB}/20.1.1.20:80")
        log = (self.lab.dir / "xdplb.log").read_text()
        self.assertRegex(log, r'event=generation_applied .*change="40\.1\.1\.1:80/tcp/20\.1\.1\.20:80: draining"')

    def test_udp_datagrams_are_answered_from_the_vip_in_both_modes(self):
        for node, address in BACKENDS.items():
            self.lab.spawn(node, "python3", "-c", UDP_ECHO, VIP, address)
            wait_until(lambda: self.lab.run(node, "ss", "-Hlun").stdout.count(":5353 ") == 2, f"{node} listens")
        service = f"{VIP}:5353/udp"
        for mode in ("snat", "dsr"):
            self.lab.command("service", "update", "--vip", service, "--backends", backends(5353), "--mode", mode)
            # A client's port that was used before would go on in the mode it began in.
            self.lab.command("connections", "flush", "--all")
            before = self.lab.json("service", "show", service)["service"]
            answered = self.lab.run("client", "python3", "-c", UDP_ASK, VIP, "200").stdout.split()
            after = self.lab.json("service", "show", service)["service"]
            self.assertEqual(len(answered), 200)
            self.assertEqual(len(set(answered)), 4, "all four backends answer")
            self.assertEqual(after["packets_in"] - before["packets_in"], 200)
            self.assertEqual(after["packets_out"] - before["packets_out"], 200 if mode == "snat" else 0)
        self.lab.command("service", "delete", service)

    def test_disabling_a_backend_ends_its_connections_and_says_how_many(self):
        # Those of other tests would expire between counting and disabling.
        self.lab.command("connections", "flush", "--all")
        self.lab.requests(200).finish()
        tracked = self.lab.json("connections", "count", "--backend", f"{WEB}/20.1.1.30:80")["count"]
        self.assertGreater(tracked, 0)
        ended = self.lab.json("backend", "disable", f"{WEB}/20.1.1.30:80")["ended_connections"]
        self.assertEqual(ended, tracked)
        self.assertEqual(self.lab.requests(200).finish()["b3"], 0)
        self.lab.command("backend", "undrain", f"{WEB}/20.1.1.30:80")

    def test_flushing_by_client_ends_what_it_says(self):
        self.lab.requests(50).finish()
        count = self.lab.json("connections", "count", "--client", "20.1.1.100")["count"]
        self.assertEqual(self.lab.json("connections", "flush", "--client", "20.1.1.100")["ended"], count)
        self.assertEqual(self.lab.json("connections", "count")["count"], 0)


class OneQueue(Balancing, unittest.TestCase):
    queues = 1


class TwoQueues(Balancing, unittest.TestCase):
    queues = 2

    def test_replies_that_arrive_on_the_other_queue_reach_their_connection(self):
        before = sum(worker["handed_off"] for worker in self.lab.status()["workers"])
        self.lab.requests(1000).finish()
        workers = self.lab.status()["workers"]
        self.assertEqual(len(workers), 2)
        self.assertGreater(sum(worker["handed_off"] for worker in workers), before, workers)
        self.assertTrue(all(worker["rx_packets"] > 0 for worker in workers), workers)


if __name__ == "__main__":
    unittest.main()
