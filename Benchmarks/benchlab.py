# SPDX-License-Identifier: Apache-2.0
"""Two namespaces and a veth pair between them: gen0 (generator and receiver) and lb0 (what is measured).

CPU 0 has the generator, and with it lb0's receive side; CPU 1 has what is measured, its transmit
side and the receiver. Everything is made under a name of its own and removed at the end.
"""
import atexit
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
GEN_MAC, LB_MAC = "02:00:00:00:01:01", "02:00:00:00:01:02"
GEN, LB, VIP = "198.18.0.1", "198.18.0.2", "192.0.2.1"
BACKENDS = [f"10.0.3.{number}" for number in range(1, 17)]
GLANCE = 0.02


def wait_until(condition, what, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError(f"not within {seconds} s: {what}")
        time.sleep(GLANCE)


def last_json(text):
    for line in reversed((text or "").splitlines()):
        if line.startswith("{"):
            return json.loads(line)
    return {}


def ahead():
    """Keeps other work on the machine out of the figures: nice counts within an autogroup, so in one of its own."""
    os.setsid()
    try:
        with open("/proc/self/autogroup", "w") as file:
            file.write("-20")
        os.nice(-20)
    except OSError:
        pass


def build(directory):
    """Compiles the baselines; their BPF parts need clang with the bpf target, which comes with Swift."""
    clang = pathlib.Path(shutil.which("swift")).resolve().parent / "clang"
    subprocess.run(["make", "-s", "-C", ROOT / "Benchmarks", f"BUILD={directory}", f"CLANG={clang}", f"CC={clang}"], check=True)


class Lab:
    """The topology. Use it as a context manager."""

    def __init__(self, tools, binary):
        self.name = f"xdplb-bench-{os.getpid()}"
        self.dir = pathlib.Path(f"/tmp/{self.name}")
        self.tools, self.binary = tools, binary
        self.processes = []

    def __enter__(self):
        atexit.register(self.__exit__)
        self.dir.mkdir()
        try:
            for node in ("gen", "lb"):
                self.ip("netns", "add", f"{self.name}-{node}")
                self.ip("-n", f"{self.name}-{node}", "link", "set", "lo", "up")
            self.ip("link", "add", "gen0", "netns", f"{self.name}-gen", "address", GEN_MAC, "type", "veth",
                    "peer", "name", "lb0", "netns", f"{self.name}-lb", "address", LB_MAC)
            for node, link, address in (("gen", "gen0", GEN), ("lb", "lb0", LB)):
                self.run(node, "sysctl", "-qw", f"net.ipv6.conf.{link}.disable_ipv6=1")
                self.run(node, "ethtool", "-K", link, "tx", "off", "rx", "off", "tso", "off", "gso", "off", "gro", "off")
                self.ip("-n", f"{self.name}-{node}", "address", "add", f"{address}/24", "dev", link)
                self.ip("-n", f"{self.name}-{node}", "link", "set", link, "mtu", "3000", "up")
            self.ip("-n", f"{self.name}-lb", "neighbour", "add", GEN, "lladdr", GEN_MAC, "dev", "lb0", "nud", "permanent")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        atexit.unregister(self.__exit__)
        for process in self.processes:
            self.stop(process)
        for node in ("gen", "lb"):
            subprocess.run(["ip", "netns", "del", f"{self.name}-{node}"], stderr=subprocess.DEVNULL)
        shutil.rmtree(self.dir, ignore_errors=True)

    @staticmethod
    def ip(*arguments):
        subprocess.run(["ip", *arguments], check=True)

    def run(self, node, *command):
        subprocess.run(["ip", "netns", "exec", f"{self.name}-{node}", *command], check=True, stdout=subprocess.DEVNULL)

    def start(self, node, *command, **options):
        process = subprocess.Popen(["ip", "netns", "exec", f"{self.name}-{node}", *map(str, command)], stdout=subprocess.PIPE,
                                   stderr=options.get("stderr", subprocess.DEVNULL), text=True, preexec_fn=ahead)
        self.processes.append(process)
        return process

    def stop(self, process):
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    # What is measured

    def start_baseline(self, seconds):
        """AF_XDP in C: pushes an outer header in front and sends back."""
        process = self.start("lb", f"{self.tools}/xskbase", "-i", "lb0", "-m", "encap", "-s", seconds, "-T", "256", "-c", "1")
        wait_until(lambda: self.is_attached() or process.poll() is not None, "the baseline is attached")
        return process

    def is_attached(self):
        out = subprocess.run(["ip", "-n", f"{self.name}-lb", "link", "show", "lb0"], capture_output=True, text=True)
        return "prog/xdp" in out.stdout

    def start_xdplb(self, mode):
        config = self.dir / "xdplb.yaml"
        pool = "snat_pools: [{name: pool, addresses: [198.18.0.3]}]\n" if mode == "snat" else ""
        uses = ", snat_pool: pool" if mode == "snat" else ""
        config.write_text(
            f"version: 1\ninterfaces: [{{name: lb0, next_hop: {{ipv4: {GEN}}}}}]\nworkers: {{cores: [1]}}\n"
            f"admin: {{socket: {self.dir}/admin.sock}}\nhttp: {{listen: none}}\n{pool}"
            f"services:\n  - {{name: bench, mode: {mode}, vips: [{VIP}], ports: [80/udp], backends: [{', '.join(BACKENDS)}]{uses}}}\n")
        with open(self.dir / "xdplb.log", "w") as log:
            process = self.start("lb", self.binary, "run", "--config", config, "--state-directory", self.dir / "state", stderr=log)
        wait_until(lambda: process.poll() is not None or self.is_ready(), "xdplb is ready")
        if process.poll() is not None:
            raise RuntimeError((self.dir / "xdplb.log").read_text())
        return process

    def is_ready(self):
        return subprocess.run([self.binary, "status", "--admin-socket", self.dir / "admin.sock"], capture_output=True).returncode == 0

    def start_variant(self, variant, seconds):
        return self.start_baseline(seconds) if variant == "c" else self.start_xdplb(variant)

    # Traffic

    def burst(self, variant, flows, seconds, warm=0.6):
        """Throughput at overload; frames by last octet of their outermost destination."""
        subject = self.start_variant(variant, seconds + warm + 1.5)
        sink = self.start("gen", f"{self.tools}/sink", "-i", "gen0", "-s", seconds, "-w", warm, "-e", "0.25", "-c", "0", "-b")
        generator = self.generator("-s", seconds + warm + 0.3, "-f", flows)
        seen = last_json(sink.communicate(timeout=60)[0])
        sent = last_json(generator.communicate(timeout=60)[0])
        self.end(variant, subject)
        return {"pps": seen.get("median", 0), "sent_pps": sent.get("pps", 0), "sink": seen}

    def generator(self, *options):
        return self.start("gen", f"{self.tools}/xgen", "-i", "gen0", "-D", LB_MAC, "-S", GEN_MAC, "-d", VIP, "-c", "0", *options)

    def end(self, variant, subject):
        """Ends what is measured; it must leave nothing attached. The baseline may, when it is ended in its start."""
        self.stop(subject)
        if variant == "c":
            subprocess.run(["ip", "-n", f"{self.name}-lb", "link", "set", "lb0", "xdpdrv", "off"], stderr=subprocess.DEVNULL)
        wait_until(lambda: not self.is_attached(), f"the program of '{variant}' is detached")

    def trial(self, variant, rate, seconds):
        """Sends an exact number of frames at a rate; the share that did not come back, and the rate that was kept."""
        count = int(rate * seconds)
        subject = self.start_variant(variant, seconds + 3)
        sink = self.start("gen", f"{self.tools}/sink", "-i", "gen0", "-s", seconds + 0.9, "-w", "0", "-e", "0.25", "-c", "0")
        time.sleep(0.2)
        generator = self.generator("-s", seconds * 3, "-n", count, "-R", f"{rate:.0f}", "-f", 100000)
        sent = last_json(generator.communicate(timeout=60)[0])
        seen = last_json(sink.communicate(timeout=60)[0])
        self.end(variant, subject)
        total = sent.get("sent", 0)
        return (1 - seen.get("frames", 0) / total if total else 1.0), sent.get("pps", 0)

    def idle(self, mode, seconds):
        """Share of a core that the daemon takes without traffic, and the latency of frames after silence."""
        subject = self.start_xdplb(mode)

        def used():
            fields = pathlib.Path(f"/proc/{subject.pid}/stat").read_text().rsplit(")", 1)[1].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

        time.sleep(3)
        before = used()
        time.sleep(seconds)
        share = (used() - before) / seconds
        script = [sys.executable, str(ROOT / "Benchmarks/pingpong.py"), "20", "0.3"]
        after = last_json(self.start("gen", *script).communicate(timeout=120)[0])
        self.end(mode, subject)
        return {"share": share, "first": after}

    def latency(self, variant, count):
        """Microseconds from before a frame is sent to the kernel's timestamp of its return, sorted; one at a time."""
        subject = self.start_variant(variant, 60)
        script = [sys.executable, str(ROOT / "Benchmarks/pingpong.py"), str(count)]
        pinger = self.start("gen", *script)
        wait_until(lambda: pinger.poll() is not None or subject.poll() is not None, f"{count} frames are sent", 60)
        if subject.poll() is not None:
            raise RuntimeError(f"'{variant}' ended before it was measured")
        out = last_json(pinger.communicate()[0])
        self.end(variant, subject)
        return out
