# SPDX-License-Identifier: Apache-2.0
"""Who may do what over the admin API: real users and groups on the socket, nobody over TCP."""
import grp
import itertools
import os
import subprocess
import unittest

from api import ApiLab, quoted

CHANGE = '{"admin_state": "draining"}'
BACKEND = "/api/v1/services/web/backends/20.1.1.10"
# A request for each route that changes something.
CHANGES = [
    ("PUT", "/api/v1/services/web", '{"backends": ["20.1.1.10:80"]}'),
    ("DELETE", "/api/v1/services/web", None),
    ("PUT", "/api/v1/services/web/mode", '{"mode": "snat"}'),
    ("PATCH", BACKEND, CHANGE),
    ("DELETE", "/api/v1/connections?all=true", None),
    ("POST", "/api/v1/trace", '{"flow": "tcp 20.1.1.100:1025 > 40.1.1.1:80"}'),
]


def run(*command):
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


class Users(unittest.TestCase):
    """A user in each group, one in both by its second group, and one in none."""

    @classmethod
    def setUpClass(cls):
        suffix = f"{os.getpid() % 100000}"
        cls.read, cls.change = f"xdr{suffix}", f"xdc{suffix}"
        cls.reader, cls.changer, cls.stranger = f"xdur{suffix}", f"xduc{suffix}", f"xdus{suffix}"
        for group in (cls.read, cls.change):
            run("groupadd", group)
            cls.addClassCleanup(subprocess.run, ["groupdel", group], stderr=subprocess.DEVNULL)
        for user, groups in ((cls.reader, ["-G", cls.read]), (cls.changer, ["-g", cls.change]), (cls.stranger, [])):
            run("useradd", "-M", "-s", "/usr/sbin/nologin", *groups, user)
            cls.addClassCleanup(subprocess.run, ["userdel", user], stderr=subprocess.DEVNULL)
        cls.lab = cls.enterClassContext(ApiLab())
        os.chmod(cls.lab.dir, 0o755)
        cls.lab.serve(f"admin: {{read_group: {cls.read}, change_group: {cls.change}}}\n")

    def configuration(self):
        return [(service["name"], service["mode"]) for service in self.lab.document("/api/v1/services")["services"]], [
            (backend["name"], backend["admin_state"], backend["weight"])
            for backend in self.lab.document("/api/v1/backends")["backends"]]

    def test_a_member_of_the_read_group_may_look_and_not_change(self):
        before = self.configuration()
        for path in ("/api/v1/status", "/api/v1/connections", "/metrics", "/api/v1/services/web"):
            self.assertEqual(self.lab.ask_as(self.reader, "GET", path)[0], 200, path)
        for method, path, body in CHANGES:
            status, answer = self.lab.ask_as(self.reader, method, path, body)
            self.assertEqual(status, 403, (method, path, answer))
            self.assertIn(f"user {self.reader} may not change anything; root or membership of group '{self.change}' is required", answer)
        self.assertEqual(self.configuration(), before)

    def test_a_member_of_the_change_group_may_look_and_change(self):
        self.assertEqual(self.lab.ask_as(self.changer, "GET", "/api/v1/status")[0], 200)
        status, answer = self.lab.ask_as(self.changer, "PATCH", BACKEND, CHANGE)
        self.assertEqual(status, 200, answer)
        states = {b["address"]: (b["admin_state"], b["changed_by"]) for b in self.lab.json("backend", "list", "web")["backends"]}
        self.assertEqual(states["20.1.1.10"], ("draining", self.changer))
        self.assertEqual(self.lab.ask_as(self.changer, "PATCH", BACKEND, '{"admin_state": "active"}')[0], 200)

    def test_a_user_in_neither_group_may_do_nothing(self):
        before = self.configuration()
        reads = [("GET", "/api/v1/status", None), ("GET", "/metrics", None), ("HEAD", "/", None), ("GET", "/no/such/path", None)]
        for method, path, body in reads + CHANGES:
            # A HEAD of curl's -X would wait for a body.
            status, answer = self.lab.ask_as(self.stranger, method if method != "HEAD" else "OPTIONS", path, body)
            self.assertEqual(status, 403, (method, path, answer))
        self.assertEqual(self.configuration(), before)

    def test_the_groups_of_the_process_count_and_not_those_of_the_user_database(self):
        group = grp.getgrnam(self.read).gr_gid
        self.assertEqual(self.lab.ask_as(self.stranger, "GET", "/api/v1/status", groups=[group])[0], 200)
        self.assertEqual(self.lab.ask_as(self.stranger, "PATCH", BACKEND, CHANGE, groups=[group])[0], 403)
        # More than fit the first question to the kernel.
        many = [*range(70000, 70200), group]
        self.assertEqual(self.lab.ask_as(self.stranger, "GET", "/api/v1/status", groups=many)[0], 200)
        status, answer = self.lab.ask_as(self.reader, "GET", "/api/v1/status", groups=[])
        self.assertEqual(status, 403)
        self.assertIn(f"user {self.reader} may not read the admin API; root or membership of group '{self.read}' is required", answer)

    def test_a_user_who_leaves_the_group_is_refused_from_then_on(self):
        run("gpasswd", "-d", self.reader, self.read)
        self.assertEqual(self.lab.ask_as(self.reader, "GET", "/api/v1/status")[0], 403)
        run("gpasswd", "-a", self.reader, self.read)
        self.assertEqual(self.lab.ask_as(self.reader, "GET", "/api/v1/status")[0], 200)


class NoGroups(unittest.TestCase):
    def test_without_groups_only_root_can_connect_at_all(self):
        lab = self.enterContext(ApiLab())
        os.chmod(lab.dir, 0o755)
        lab.serve()
        self.assertEqual(lab.ask_as("nobody", "GET", "/api/v1/status"), (0, ""))
        self.assertEqual(lab.ask("GET", "/api/v1/status")[0], 200)


class OverTCP(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = cls.enterClassContext(ApiLab())
        cls.lab.serve()
        cls.description = cls.lab.document("/api/v1/openapi.json")

    def paths(self):
        """Every path that is described, with names of things that are there."""
        for path, methods in self.description["paths"].items():
            yield path.replace("{service}", "web").replace("{backend}", "20.1.1.10"), methods

    def test_no_method_changes_anything_on_any_path(self):
        before = self.lab.document("/api/v1/status")["generation"], self.lab.document("/api/v1/backends")["backends"]
        bodies = {path: body for _, path, body in CHANGES}
        for (path, _), method in itertools.product(self.paths(), ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")):
            status, answer = self.lab.ask_tcp(method, path, bodies.get(path))
            self.assertEqual(status, 405, (method, path, answer))
            self.assertIn("nothing can be changed over TCP", answer)
        after = self.lab.document("/api/v1/status")["generation"], self.lab.document("/api/v1/backends")["backends"]
        self.assertEqual(before[0], after[0])
        self.assertEqual([(b["name"], b["admin_state"], b["weight"]) for b in before[1]],
                         [(b["name"], b["admin_state"], b["weight"]) for b in after[1]])

    def test_reads_are_served_as_described_and_client_addresses_are_not(self):
        self.lab.requests(20).finish()
        for path, methods in self.paths():
            served = "get" in methods and "tcp" in methods["get"]["x-xdplb-listeners"]
            if path == "/api/v1/events":
                continue  # a stream, which test_events reads
            status, answer = self.lab.ask_tcp("GET", path)
            self.assertEqual(status, 200 if served else 404, path)
            self.assertNotIn("20.1.1.100:", answer, path)
            self.assertEqual(self.lab.ask_tcp("HEAD", path)[0], 200 if served else 404, path)

    def test_tricks_with_paths_and_methods_reach_nothing_more(self):
        status = self.lab.document("/api/v1/status")
        connections = ["/api/v1/connections", "/api/v1//connections", "/api/v1/./connections", "/api/v1/x/../connections",
                       "/api/v1/%63onnections", "/api/v1/connections/", "/api/v1/connections%2f", "/API/v1/connections",
                       "/api/v1/connections;x", "/api/v1/services/../connections", "/api/v1/services/%2e%2e/connections",
                       "/metrics/../api/v1/connections", "//api/v1/connections", "/%2fapi/v1/connections",
                       "/api/v1/connections%00", "/api/v1/connections?dry_run=false", "/..%2f..%2fetc/passwd", "/etc/passwd"]
        for path in connections:
            code, answer = self.lab.ask_tcp("GET", path)
            self.assertIn(code, (400, 404), (path, answer))
        # What would override the method elsewhere.
        for header in ("X-HTTP-Method-Override: DELETE", "X-HTTP-Method: DELETE", "X-Method-Override: DELETE"):
            done = self.lab.run("lb", "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-H", header,
                                "http://127.0.0.1:9660/api/v1/services/web")
            self.assertEqual(done.stdout, "200")
        self.assertEqual(self.lab.ask_tcp("GET", f"/api/v1/services/{quoted('40.1.1.1:80/tcp')}")[0], 200)
        self.assertEqual(self.lab.document("/api/v1/status")["generation"], status["generation"])


if __name__ == "__main__":
    unittest.main()
