# SPDX-License-Identifier: Apache-2.0
"""Health checks against real servers: by their own address and through the tunnel, as traffic goes."""
import subprocess
import sys
import time
import unittest

from lab import BACKENDS, VIP, Lab, wait_until

INTERVAL, FALL = 0.5, 3

SERVER = r"""
import http.server, ssl, sys
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"all systems go\n"
        self.send_response(200 if self.path == "/health" and self.headers["Host"] == "shop.example" else 503)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(("0.0.0.0", 443), Page)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""

NAME_SERVER = r"""
import socket
import sys, threading
def serve(address):
    # Bound to the address, as name servers are: answers come from where the question went.
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((address, 53))
    while True:
        answer(server)
def answer(server):
    question, client = server.recvfrom(4096)
    server.sendto(question[:2] + b"\x84\x00" + question[4:6] + b"\0\0\0\0\0\0" + question[12:], client)
for address in sys.argv[2:]:
    threading.Thread(target=serve, args=[address], daemon=True).start()
serve(sys.argv[1])
"""

# Inside a tunnel, swallows requests and resets, and lets the rest of a connection pass.
SWALLOW = r"""
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>
SEC("tc") int swallow(struct __sk_buff *skb)
{
	__u8 outer = 0, inner = 0, flags = 0;

	if (bpf_skb_load_bytes(skb, ETH_HLEN + 9, &outer, 1) || outer != 4 ||
	    bpf_skb_load_bytes(skb, ETH_HLEN + 29, &inner, 1) || inner != 6 ||
	    bpf_skb_load_bytes(skb, ETH_HLEN + 53, &flags, 1))
		return TC_ACT_OK;
	return flags & 0x0c ? TC_ACT_SHOT : TC_ACT_OK; /* PSH, RST */
}
char _license[] SEC("license") = "GPL";
"""


class Health(unittest.TestCase):
    def setUp(self):
        self.lab = self.enterContext(Lab())

    def serve(self, mode, health, port="80/tcp", more="", ready=True, section="", interval=INTERVAL):
        """Starts the daemon on a file with one service of all backends, and perhaps another section."""
        backends = ", ".join(f"{{name: {name}, address: {address}}}" for name, address in BACKENDS.items())
        self.file = self.lab.dir / "xdplb.yaml"
        self.file.write_text(f"""version: 1
interfaces: [{{name: eth0}}]
{section}
services:
  - name: web
    vips: [{VIP}]
    ports: [{port}]
    mode: {mode}
    health: {{{health}, interval: {int(interval * 1000)}ms, timeout: 300ms, rise: 2, fall: {FALL}}}
    {more}
    backends: [{backends}]
""")
        self.lab.launch("--config", str(self.file))
        if ready:
            wait_until(lambda: self.states() == {name: "healthy" for name in BACKENDS}, "all backends are healthy")

    def listed(self):
        return {backend["name"]: backend for backend in self.lab.json("backend", "list")["backends"]}

    def states(self):
        return {name: backend["health"] for name, backend in self.listed().items()}

    def fails_in_time(self, name, words):
        """Waits until a backend is out of the table; says that it took no longer than fall intervals."""
        began = time.monotonic()
        wait_until(lambda: self.listed()[name]["slots"] == 0, f"{name} has no slots")
        took = time.monotonic() - began
        backend = self.listed()[name]
        self.assertEqual(backend["health"], "unhealthy")
        self.assertIn(words, backend["health_reason"])
        # What listing and publishing take on a busy machine comes on top.
        self.assertLess(took, FALL * INTERVAL + 1)

    def log(self):
        return (self.lab.dir / "xdplb.log").read_text()

    def end_nginx(self, node):
        pid = int((self.lab.dir / node / "nginx.pid").read_text())
        subprocess.run(["kill", str(pid)], check=True)

    def begin_nginx(self, node):
        folder = self.lab.dir / node
        self.lab.run(node, "nginx", "-c", str(folder / "nginx.conf"), "-p", str(folder))

    def test_tcp_finds_a_dead_backend_in_time_and_takes_it_back_when_it_returns(self):
        self.serve("snat", "type: tcp")
        self.end_nginx("b2")
        self.fails_in_time("b2", "refused")
        self.assertEqual(self.lab.requests(200, 4).finish()["b2"], 0)
        self.begin_nginx("b2")
        wait_until(lambda: self.listed()["b2"]["eligible"], "b2 is back")
        self.assertGreater(self.lab.requests(400, 4).finish()["b2"], 0)
        changes = [line for line in self.log().splitlines() if "event=backend_health" in line and "backend=b2" in line]
        self.assertEqual([("to=healthy" in line) for line in changes], [True, False, True], changes)

    def test_http_judges_status_and_body(self):
        self.serve("snat", 'type: http, path: /name, expect: {status: 200, body: "b"}')
        # b3 says something else from now on.
        config = self.lab.dir / "b3/nginx.conf"
        config.write_text(config.read_text().replace('return 200 "b3\\n"', 'return 200 "other\\n"'))
        subprocess.run(["kill", "-HUP", (self.lab.dir / "b3/nginx.pid").read_text().strip()], check=True)
        self.fails_in_time("b3", "body without the expected text")
        config.write_text(config.read_text().replace("return 200", "return 500"))
        subprocess.run(["kill", "-HUP", (self.lab.dir / "b3/nginx.pid").read_text().strip()], check=True)
        wait_until(lambda: "status 500" in (self.listed()["b3"]["health_reason"] or ""), "the new reason is told")

    def test_the_tunnel_itself_is_probed_in_dsr_and_the_failure_names_the_part_at_fault(self):
        lab = self.lab
        lab.decapsulate()
        self.serve("dsr", "type: http, path: /name")
        # The server is fine; what takes the tunnel apart is gone.
        lab.run("b1", "ip", "link", "set", "dev", "eth0", "xdp", "off", check=False)
        lab.run("b1", lab_binary(), "decap", "detach", "--interface", "eth0", check=False)
        self.fails_in_time("b1", f"{BACKENDS['b1']} does not decapsulate (ICMP protocol unreachable)")
        # Another one takes it apart, and drops what is inside in silence.
        lab.run("b3", "ip", "address", "del", f"{VIP}/32", "dev", "lo")
        self.fails_in_time("b3", "itself answers: no decapsulation there, no VIP")
        self.end_nginx("b2")
        self.fails_in_time("b2", "nothing listens on the VIP")
        lab.run("b3", "ip", "link", "set", "eth0", "down")
        wait_until(lambda: not self.listed()["b3"]["eligible"], "b3 is out")
        self.assertEqual(lab.requests(100, 2).finish()["b4"], 100)

    def test_probes_through_the_tunnel_leave_nothing_on_backends_and_draw_no_reset(self):
        lab = self.lab
        lab.decapsulate()
        self.serve("dsr", "type: tcp")
        sent = lambda: self.metric("xdplb_drops_total", 'reason="bad_source"')
        probes = lambda: self.metric("xdplb_health_checks_total", 'backend="b4",result="success"')
        before = probes()
        wait_until(lambda: probes() >= before + 5, "further probes have succeeded")
        # A reset of the kernel's would come back as traffic to the VIP from our own address.
        self.assertEqual(sent(), 0)
        self.assertEqual(lab.run("b4", "ss", "-Htn", "src", VIP).stdout, "")

    def test_a_connection_that_a_backend_kept_does_not_fail_the_next_probe(self):
        lab = self.lab
        lab.decapsulate()
        # Linux answers what does not belong to a connection every half second at most.
        self.serve("dsr", "type: http, path: /name, jitter: 0%", interval=1)
        source, program = lab.dir / "swallow.bpf.c", lab.dir / "swallow.o"
        source.write_text(SWALLOW)
        lab.compile_bpf(source, program)
        failed = lambda: sum(self.metric("xdplb_health_checks_total", f'backend="b1",result="{result}"')
                             for result in ("timeout", "refused", "bad_reply", "error"))
        kept = lambda: lab.run("b1", "ss", "-Htn", "state", "established", "src", VIP).stdout.split("\n")[:-1]
        port = ("dev", "to-b1", "egress")
        lab.run("switch", "tc", "qdisc", "add", "dev", "to-b1", "clsact")
        for _ in range(3):
            lab.run("switch", "tc", "filter", "add", *port, "bpf", "da", "obj", str(program), "sec", "tc")
            wait_until(lambda: self.states()["b1"] == "unhealthy", "requests are lost")
            self.assertEqual(len(kept()), 1, "neither request nor reset has come")
            # Right after one has failed, the next one has not begun.
            before = failed()
            wait_until(lambda: failed() > before, "another one has failed")
            lab.run("switch", "tc", "filter", "del", *port)
            lost = failed()
            wait_until(lambda: self.states()["b1"] == "healthy", "b1 is back")
            wait_until(lambda: not kept(), "the one that was kept is gone")
            if failed() == lost:
                return
        self.fail("the first probe has failed each time")

    def test_probes_come_from_where_hashed_tunnels_come_from(self):
        lab = self.lab
        lab.decapsulate()
        # Backends that trust the prefix alone, and drop tunnels from the interface's address.
        for node in BACKENDS:
            lab.run(node, lab_binary(), "decap", "detach", "--interface", "eth0")
            lab.run(node, lab_binary(), "decap", "attach", "--interface", "eth0", "--vip", VIP, "--trust", "172.16.0.0/16")
        self.serve("dsr", "type: http, path: /name",
                   section="encapsulation: {ipv4_source: {mode: hash, prefix: 172.16.0.0/16}}")
        self.assertGreater(lab.requests(100, 2).finish()["b1"], 0)

    def test_https_through_the_tunnel(self):
        lab = self.lab
        key, certificate = lab.dir / "key.pem", lab.dir / "cert.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=shop.example",
                        "-keyout", key, "-out", certificate], check=True, capture_output=True)
        lab.decapsulate()
        for node in BACKENDS:
            lab.spawn(node, sys.executable, "-c", SERVER, str(certificate), str(key))
        health = 'type: https, path: /health, host: shop.example, expect: {status: 200, body: "systems go"}'
        self.serve("dsr", health, "443/tcp")
        self.file.write_text(self.file.read_text().replace("/health,", "/other,"))
        lab.command("reload", "--wait")
        wait_until(lambda: all("status 503" in (backend["health_reason"] or "") for backend in self.listed().values()),
                   "every backend answers 503 now")

    def test_dns_and_icmp_directly_and_through_the_tunnel(self):
        lab = self.lab
        lab.decapsulate()
        spawn = lambda node: lab.spawn(node, sys.executable, "-c", NAME_SERVER, BACKENDS[node], VIP)
        servers = {node: spawn(node) for node in BACKENDS}
        for mode in ("dsr", "snat"):
            self.serve(mode, "type: dns, query: example.net", "53/udp")
            servers["b4"].terminate()
            servers["b4"].wait(5)
            self.fails_in_time("b4", "" if mode == "dsr" else "refused")
            servers["b4"] = spawn("b4")
            wait_until(lambda: self.listed()["b4"]["eligible"], "b4 is back")
            lab.stop()
        for mode in ("dsr", "snat"):
            self.serve(mode, "type: icmp", "53/udp")
            lab.run("b1", "ip", "link", "set", "eth0", "down")
            wait_until(lambda: not self.listed()["b1"]["eligible"], "b1 is out")
            lab.run("b1", "ip", "link", "set", "eth0", "up")
            wait_until(lambda: self.listed()["b1"]["eligible"], "b1 is back", 30)
            lab.stop()

    def test_full_size_probes_find_an_mtu_black_hole(self):
        lab = self.lab
        lab.decapsulate()
        # Large packets vanish on the way to b3, as behind a tunnel that nobody sees.
        self.serve("dsr", "type: tcp, full_size: true")
        lab.run("b3", "ip", "link", "set", "eth0", "mtu", "1500")
        lab.run("switch", "ip", "link", "set", "to-b3", "mtu", "1500")
        wait_until(lambda: "bytes are lost" in (self.listed()["b3"]["health_reason"] or ""), "the black hole is found", 40)
        self.assertIn("MTU", self.listed()["b3"]["health_reason"])
        self.assertEqual({name for name, state in self.states().items() if state == "unhealthy"}, {"b3"})
        # Who no longer asks for large packets is no longer told of them.
        self.file.write_text(self.file.read_text().replace("full_size: true", "full_size: false"))
        lab.command("reload", "--wait")
        wait_until(lambda: self.listed()["b3"]["eligible"], "b3 is back")

    def test_all_backends_dead_is_told_and_the_service_recovers(self):
        self.serve("snat", "type: tcp", more="on_no_backend: reject\n    minimum_backends: 2")
        for node in BACKENDS:
            self.end_nginx(node)
        wait_until(lambda: not self.lab.status()["ready"], "nobody is left")
        self.assertRegex(self.log(), "event=service_without_backend .*service=web")
        refused = self.lab.run("client", "curl", "-sS", "-m", "2", f"http://{VIP}/name", check=False)
        self.assertEqual(refused.returncode, 7, "curl: could not connect, and not 28: timed out")
        for node in ("b1", "b2"):
            self.begin_nginx(node)
        wait_until(lambda: self.lab.status()["ready"], "the service is back")
        self.assertRegex(self.log(), "event=service_recovered .*service=web")

    def test_a_service_that_gets_a_health_check_serves_on_meanwhile(self):
        lab = self.lab
        self.serve("snat", "type: none", ready=False)
        wait_until(lambda: lab.status()["ready"], "it serves without probes")
        burst = lab.requests(2000, 4)
        self.file.write_text(self.file.read_text().replace("type: none", "type: tcp"))
        lab.command("reload", "--wait")
        wait_until(lambda: self.states() == {name: "healthy" for name in BACKENDS}, "all are found healthy")
        burst.finish()

    def metric(self, name, labels):
        text = self.lab.run("lb", "curl", "-s", "http://127.0.0.1:9660/metrics").stdout
        return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name) and labels in line)


def lab_binary():
    from lab import XDPLB
    return XDPLB


if __name__ == "__main__":
    unittest.main()
