# SPDX-License-Identifier: Apache-2.0
"""The demo's topology for tests: namespaces, nginx, a sink for uploads, and the daemon itself.

Everything is made under a unique prefix and removed at the end, also after a failure. Nothing waits
a fixed time: wait_until() repeats a condition until it holds.
"""
import atexit
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
XDPLB = os.environ.get("XDPLB", str(ROOT / ".build/release/xdplb"))
VIP = "40.1.1.1"
WEB = f"{VIP}:80/tcp"
SINK = f"{VIP}:8080/tcp"
BACKENDS = {"b1": "20.1.1.10", "b2": "20.1.1.20", "b3": "20.1.1.30", "b4": "20.1.1.40"}


# Between two looks at a condition, in seconds.
GLANCE = 0.02


def wait_until(condition, what, seconds=15):
    """Repeats a condition until it is true; returns what it returned."""
    end = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(GLANCE)


def url_host(address):
    """An address as URLs have it: IPv6 in brackets."""
    return f"[{address}]" if ":" in address else address


def backends(port, *names):
    return ",".join(f"{BACKENDS[name]}:{port}" for name in names or BACKENDS)


class Lab:
    """The six nodes. Use it as a context manager."""

    TOPOLOGY = "topology.sh"
    count = 0

    def __init__(self, queues=1):
        Lab.count += 1
        self.name = f"xdplb-e2e-{os.getpid()}-{Lab.count}"
        self.dir = pathlib.Path(f"/tmp/{self.name}")
        self.socket = str(self.dir / "admin.sock")
        self.queues = queues
        self.processes = []
        self.daemon = None
        # What the daemon is started through: a command that becomes the one given to it.
        self.wrapper = []

    def __enter__(self):
        # Also when the tests are interrupted.
        atexit.register(self.__exit__)
        try:
            self._topology(f"lab_up {self.queues}")
            if self.queues > 1:
                self.split_queues()
            for node in BACKENDS:
                self.spawn(node, sys.executable, str(ROOT / "Tests/EndToEnd/sink.py"), "8080")
            for node, address in self.addresses():
                for port in (80, 8080):
                    wait_until(lambda: self.run("client", "curl", "-s", "-o", "/dev/null", "-m", "1",
                                                f"http://{url_host(address)}:{port}/name", check=False).returncode == 0,
                               f"{node} answers on port {port}")
        except BaseException:
            self.__exit__()
            raise
        return self

    def addresses(self):
        """Pairs of a backend and an address of it."""
        return BACKENDS.items()

    def __exit__(self, *_):
        atexit.unregister(self.__exit__)
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
        for process in self.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._topology("lab_down")

    def _topology(self, command):
        subprocess.run(["bash", "-euc", f"source scripts/lib/{self.TOPOLOGY}; {command}"], cwd=ROOT, check=True,
                       env={**os.environ, "LAB": self.name, "LAB_DIR": str(self.dir)}, stdout=subprocess.DEVNULL)

    def split_queues(self, node="switch"):
        """Lets what goes to the load balancer arrive on both queues, each flow on one; see split.bpf.c."""
        program = self.dir / "split.o"
        self.compile_bpf(ROOT / "Tests/EndToEnd/split.bpf.c", program)
        self.run(node, "tc", "qdisc", "add", "dev", "to-lb", "clsact")
        self.run(node, "tc", "filter", "add", "dev", "to-lb", "egress", "bpf", "da", "obj", str(program), "sec", "tc")

    @staticmethod
    def compile_bpf(source, target):
        """Compiles a BPF program with the toolchain's own clang."""
        clang = pathlib.Path(shutil.which("swift")).resolve().parent / "clang"
        subprocess.run([clang, "-target", "bpf", "-O2", "-g", "-mcpu=v3", f"-I/usr/include/{os.uname().machine}-linux-gnu",
                        "-c", source, "-o", target], check=True)

    # Commands on nodes

    def in_node(self, node, *command):
        return ["ip", "netns", "exec", f"{self.name}-{node}", *command]

    def run(self, node, *command, check=True, **options):
        return subprocess.run(self.in_node(node, *command), check=check, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=300, **options)

    def spawn(self, node, *command, **options):
        process = subprocess.Popen(self.in_node(node, *command), stdin=options.pop("stdin", subprocess.DEVNULL),
                                   stdout=options.pop("stdout", subprocess.DEVNULL),
                                   stderr=options.pop("stderr", subprocess.DEVNULL), text=True, **options)
        self.processes.append(process)
        return process

    def decapsulate(self):
        for node in BACKENDS:
            mode = "xdp" if node in ("b1", "b2") else "tc"
            self.run(node, XDPLB, "decap", "attach", "--interface", "eth0", "--vip", VIP, "--trust", "20.1.1.1/32",
                     "--mode", mode, "--setup")

    # The daemon

    def start(self, mode, *more, services=None):
        """Starts xdplb and returns when it serves."""
        if services is None:
            services = [f"{WEB}={backends(80)}", f"{SINK}={backends(8080)}"]
        arguments = [item for service in services for item in ("--service", service)]
        self.launch("--interface", "eth0", "--mode", mode, *arguments, *more)
        if services:
            wait_until(lambda: self.status()["ready"], "the daemon is ready")
        return self.daemon

    def launch(self, *arguments, environment=None):
        """Runs the daemon and returns when it answers."""
        with open(self.dir / "xdplb.log", "a") as log:
            self.daemon = self.spawn("lb", *self.wrapper, XDPLB, "run", "--admin-socket", self.socket, "--state-directory",
                                     str(self.dir / "state"), "--http-listen", "127.0.0.1:9660", *arguments, stderr=log,
                                     env={**os.environ, **(environment or {})})
        wait_until(lambda: self.daemon.poll() is not None or self.is_answering(), "the daemon answers")
        assert self.daemon.poll() is None, (self.dir / "xdplb.log").read_text()

    def stop(self, signal="TERM"):
        self.daemon.send_signal(getattr(__import__("signal"), f"SIG{signal}"))
        return self.daemon.wait(15)

    def is_answering(self):
        return self.command("status", check=False).returncode == 0

    def command(self, *arguments, check=True):
        """Runs a client command against the daemon."""
        result = subprocess.run([XDPLB, *arguments, "--admin-socket", self.socket], text=True, timeout=120,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if check and result.returncode != 0:
            raise AssertionError(f"xdplb {' '.join(arguments)}: exit {result.returncode}: {result.stderr}")
        return result

    def json(self, *arguments):
        return json.loads(self.command(*arguments, "-o", "json").stdout)

    def status(self):
        return self.json("status")

    # Traffic

    def requests(self, count, parallel=8, vip=VIP):
        """Starts so many curl requests over as many connections; see Burst."""
        return Burst(self, count, parallel, vip)

    def random_file(self, megabytes):
        path = self.dir / f"random-{megabytes}"
        if not path.exists():
            block = os.urandom(1 << 20)
            with open(path, "wb") as file:
                for index in range(megabytes):
                    file.write(hashlib.sha256(index.to_bytes(4, "big")).digest() + block[32:])
        return path


class Burst:
    """Requests that run in the background."""

    SCRIPT = r"""
        for request; do
            printf 'url = http://%s/name\nheader = "Connection: close"\nmax-time = 20\nfail\n' "$VIP"
            printf '%s\n' 'write-out = "%{onerror}%{errormsg}, from port %{local_port}, connected after %{time_connect} s\n"' next
        done | sed '$d' | curl -sS -K - || echo failed
    """

    def __init__(self, lab, count, parallel, vip):
        self.count = count
        self.path = lab.dir / f"burst-{time.monotonic_ns()}"
        numbers = "\n".join(str(n) for n in range(count))
        with open(self.path, "w") as out:
            self.process = subprocess.Popen(
                lab.in_node("client", "xargs", "-P", str(parallel), "-n", "100", "sh", "-c", self.SCRIPT, "sh"),
                stdin=subprocess.PIPE, stdout=out, stderr=subprocess.STDOUT, text=True, env={**os.environ, "VIP": url_host(vip)})
        lab.processes.append(self.process)
        self.process.stdin.write(numbers)
        self.process.stdin.close()

    def answers(self):
        """The answers so far: names of backends, and what curl said of failures."""
        return self.path.read_text().split("\n")[:-1]

    def is_running(self):
        return self.process.poll() is None

    def finish(self):
        """Waits for the end; returns how many each backend answered. Fails when a request failed."""
        self.process.wait(300)
        answers = self.answers()
        bad = [line for line in answers if line not in BACKENDS]
        assert not bad and len(answers) == self.count, f"{len(answers)} of {self.count} answers, among them {bad[:5]}"
        return {name: answers.count(name) for name in BACKENDS}
