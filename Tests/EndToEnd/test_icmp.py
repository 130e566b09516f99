# SPDX-License-Identifier: Apache-2.0
"""What is answered for the VIP itself, and the errors that clients get to know of."""
import re
import unittest

from lab import BACKENDS
from routed import VIP, RoutedTest, backend, service

FAMILIES = (4, 6)
# Nobody listens there.
CLOSED = 4444
# Nobody has this address; the last router on the way tells so.
ABSENT = {4: "10.5.0.99", 6: "2001:db8:5::99"}

# Connects, sends when it is UDP, and waits for an answer; says the error that came instead.
TRY = """if True:
    import errno, socket, sys
    kind, address, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    peer = socket.socket(family, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
    peer.settimeout(8)
    try:
        peer.connect((address, port))
        if kind == "udp":
            peer.send(b"is anybody there")
            peer.recv(1)
        print("answered")
    except TimeoutError as error:
        print("ETIMEDOUT" if error.errno else "silence")
    except OSError as error:
        print(errno.errorcode[error.errno])
"""


class ICMP(RoutedTest):
    def addresses(self, family):
        return [backend(node, family) for node in BACKENDS]

    def attempt(self, kind, family, port):
        return self.lab.run("client", "python3", "-c", TRY, kind, VIP[family], str(port)).stdout.strip()


class Echo(ICMP):
    def serve(self, mode, family, **sections):
        self.lab.serve(service("web", mode, [family], ["80/tcp"], self.addresses(family)), **sections)

    def ping(self, family, *more, count=3):
        done = self.lab.run("client", "ping", f"-{family}", "-n", "-c", str(count), "-i", "0.05", "-W", "2", *more, VIP[family],
                            check=False)
        return int(re.search(r"(\d+) received", done.stdout)[1]), done.stdout

    def test_the_vip_answers_pings_of_all_sizes(self):
        for mode in ("dsr", "snat"):
            for family in FAMILIES:
                with self.case(mode=mode, family=family):
                    self.serve(mode, family)
                    for size in (0, 56, 1400):
                        received, text = self.ping(family, "-s", str(size), "-p", "5aff00")
                        self.assertEqual(received, 3, text)
                        self.assertNotIn("wrong data", text)
                    # Nine replies, and none of them from a backend.
                    reply = {4: "icmp.type == 0", 6: "icmpv6.type == 129"}[family]
                    self.assertEqual(self.sent.count_of(reply), 9)
                    self.assertEqual(self.sent.count_of({4: "icmp.type == 8", 6: "icmpv6.type == 128"}[family]), 0)

    def test_the_vip_is_silent_where_the_configuration_says_so(self):
        for family in FAMILIES:
            with self.case(family=family):
                self.serve("dsr", family, icmp={"echo_reply": False})
                self.assertEqual(self.ping(family, count=1)[0], 0)

    def trace(self, family, *how):
        done = self.lab.run("client", "traceroute", f"-{family}", "-n", "-q", "1", "-w", "2", "-m", "8", *how, VIP[family])
        return [line.split()[1] for line in done.stdout.splitlines()[1:]]

    def test_traceroute_ends_at_the_vip(self):
        routers = {4: ["10.1.0.1", "10.2.0.1"], 6: ["2001:db8:1::1", "2001:db8:2::1"]}
        for mode in ("dsr", "snat"):
            for family in FAMILIES:
                for how in (["-I"], ["-T", "-p", "80"]):
                    with self.case(mode=mode, family=family, how=how[0]):
                        self.serve(mode, family)
                        hops = self.trace(family, *how)
                        self.assertEqual(hops[:2], routers[family])
                        self.assertEqual(hops[-1], VIP[family])
                        # The load balancer answers echo requests itself; TCP is answered behind it.
                        self.assertLessEqual(len(hops), 3 if how == ["-I"] else 6, hops)


class Errors(ICMP):
    def test_an_unused_udp_port_of_a_backend_refuses_the_client_in_dsr(self):
        for family in FAMILIES:
            for outer in FAMILIES:
                with self.case(vip=family, backend=outer):
                    self.lab.serve(service("any", "dsr", [family], ["any/udp"], self.addresses(outer)))
                    self.assertEqual(self.attempt("udp", family, CLOSED), "ECONNREFUSED")

    def test_an_unused_udp_port_of_a_backend_refuses_the_client_in_snat(self):
        for family in FAMILIES:
            with self.case(family=family):
                self.lab.serve(service("any", "snat", [family], [f"{CLOSED}/udp"], self.addresses(family)))
                icmp = self.capture("client", "eth0", "in", "icmp or icmp6")
                self.assertEqual(self.attempt("udp", family, CLOSED), "ECONNREFUSED")
                # Nothing in it tells the client who the backend is.
                unreachable = {4: "icmp.type == 3 and icmp.code == 3", 6: "icmpv6.type == 1 and icmpv6.code == 4"}[family]
                name = {4: "ip", 6: "ipv6"}[family]
                told = icmp.fields(unreachable, f"{name}.addr")
                self.assertEqual(len(told), 1)
                inside = set(told[0][0].split(","))
                self.assertFalse(inside & set(self.addresses(family)), told)

    def test_an_unused_tcp_port_of_a_backend_refuses_the_client(self):
        for mode in ("dsr", "snat"):
            for family in FAMILIES:
                with self.case(mode=mode, family=family):
                    self.lab.serve(service("any", mode, [family], [f"{CLOSED}/tcp"], self.addresses(family)))
                    self.assertEqual(self.attempt("tcp", family, CLOSED), "ECONNREFUSED")

    def test_an_unreachable_backend_ends_the_clients_connect_in_snat(self):
        # The router need not ask three times, a second each, for an address that nobody has.
        for family in ("ipv4", "ipv6"):
            self.lab.run("rack", "sysctl", "-qw", f"net.{family}.neigh.rack.mcast_solicit=1")
        for family in FAMILIES:
            with self.case(family=family):
                self.lab.serve(service("web", "snat", [family], ["80/tcp"], [ABSENT[family]]))
                self.assertEqual(self.attempt("tcp", family, 80), "EHOSTUNREACH")

    def test_a_service_without_backends_refuses_when_it_is_to_reject(self):
        for mode in ("dsr", "snat"):
            for family in FAMILIES:
                with self.case(mode=mode, family=family):
                    disabled = [{"address": address, "admin_state": "disabled"} for address in self.addresses(family)]
                    self.lab.serve(service("web", mode, [family], ["80/tcp", "53/udp"], disabled, on_no_backend="reject"),
                                   ready=False)
                    self.assertEqual(self.attempt("tcp", family, 80), "ECONNREFUSED")
                    self.assertEqual(self.attempt("udp", family, 53), "ECONNREFUSED")

    def test_a_service_without_backends_is_silent_when_it_is_to_drop(self):
        disabled = [{"address": address, "admin_state": "disabled"} for address in self.addresses(4)]
        self.lab.serve(service("web", "dsr", [4], ["53/udp"], disabled), ready=False)
        before = self.lab.drops("no_backend")
        done = self.lab.run("client", "python3", "-c", TRY.replace("settimeout(8)", "settimeout(1)"), "udp", VIP[4], "53")
        self.assertEqual(done.stdout.strip(), "silence")
        self.assertEqual(self.lab.drops("no_backend") - before, 1)


class ErrorsOverTwoQueues(ICMP):
    queues = 2

    def test_errors_reach_the_worker_of_their_connection(self):
        for family in FAMILIES:
            with self.case(family=family):
                self.lab.serve(service("any", "snat", [family], [f"{CLOSED}/udp"], self.addresses(family)))
                # Each has a port of its own, and with it a queue; errors come to one that is not always that.
                for _ in range(16):
                    self.assertEqual(self.attempt("udp", family, CLOSED), "ECONNREFUSED")
                self.assertGreater(self.lab.handed_off(), 0)


if __name__ == "__main__":
    unittest.main()
