# SPDX-License-Identifier: Apache-2.0
"""Captures of a link's frames, and what tshark says about them."""
import signal
import subprocess

from lab import wait_until

# An error that quotes a packet.
QUOTES = "(icmp.type in {3, 11, 12} or icmpv6.type in {1, 2, 3, 4})"
# Linux sends 0xffff where 0 was computed, also in TCP; both are right, but tshark wants 0.
TRANSPORT = ('((tcp.checksum.status == "Bad" and not tcp.checksum.ffff) or udp.checksum.status == "Bad" '
             "or udp.checksum.zero)")
FAULTS = " or ".join(["_ws.malformed", f"({TRANSPORT} and not {QUOTES})",
                      *(f'{protocol}.checksum.status == "Bad"' for protocol in ("ip", "icmp", "icmpv6"))])


def tshark(path, filter, *more):
    """The lines that tshark prints for the frames that the filter takes."""
    command = ["tshark", "-n", "-r", str(path), "-Y", filter]
    for protocol in ("ip", "tcp", "udp"):
        command += ["-o", f"{protocol}.check_checksum:TRUE"]
    # A dissector that took random payload for its protocol would call it malformed.
    for protocol in ("tcp", "udp"):
        command += ["-d", f"{protocol}.port==1-65535,data"]
    # What a segment says about others is no concern here, and costs time.
    command += ["-o", "tcp.analyze_sequence_numbers:FALSE", *more]
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=300)
    assert done.returncode == 0, done.stderr[:500]
    return done.stdout.splitlines()


def is_whole(ipv4_lengths, ipv6_lengths):
    """Whether an error quotes all of a packet, by the lengths in the headers from the outermost on.

    The error and what it quotes are the last two of one family; the header of IPv6 is not in its length.
    """
    for lengths, inside, outside in ((ipv4_lengths, 20, 0), (ipv6_lengths, 0, 40)):
        if len(lengths) >= 2:
            error, quoted = lengths[-2:]
            return outside + quoted <= error - inside - 8
    return True


def quotes_with_faults(path):
    """Errors that quote a whole packet, which has a bad checksum.

    Of one that is quoted in part tshark computes a checksum all the same, which cannot be right.
    """
    numbers = []
    for line in tshark(path, f"{TRANSPORT} and {QUOTES}", "-T", "fields", "-e", "frame.number", "-e", "ip.len",
                       "-e", "ipv6.plen"):
        number, *columns = line.split("\t")
        if is_whole(*([int(length) for length in column.split(",") if length] for column in columns)):
            numbers.append(f"frame.number == {number}")
    return tshark(path, " or ".join(numbers)) if numbers else []


def faults(path, mtu=None):
    """Frames that are malformed, have a bad checksum or are longer than the link takes."""
    return tshark(path, FAULTS if mtu is None else f"{FAULTS} or frame.len > {mtu + 14}") + quotes_with_faults(path)


class Capture:
    """The frames that a node sees on an interface while the context lasts.

    What AF_XDP sends passes no tap of its own interface: what the load balancer sends is captured
    where it arrives, with the direction `in`.
    """

    count = 0

    def __init__(self, lab, node, interface, direction="inout", filter=""):
        Capture.count += 1
        self.lab, self.node = lab, node
        self.path = lab.dir / f"capture-{Capture.count}.pcap"
        self.log = self.path.with_suffix(".log")
        # Not `inbound` in the filter: libpcap applies it to the first frame itself, and cannot.
        self.arguments = ["-i", interface, "-Q", direction, "-w", str(self.path), *filter.split()]
        self.process = None

    def __enter__(self):
        with open(self.log, "w") as log:
            # Frames are delivered at once, and the buffer holds a whole transfer: a slot is as large as -s says.
            self.process = self.lab.spawn(self.node, "tcpdump", "-n", "-U", "-s", "2048", "-B", "65536", "-Z", "root",
                                          "--immediate-mode", *self.arguments, stderr=log)
        wait_until(lambda: "listening on" in self.log.read_text(), "tcpdump listens")
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """Ends the capture when all that the kernel saw is written."""
        if self.process.poll() is not None:
            return
        wait_until(self._is_at_rest, "tcpdump has written all", 60)
        self.process.send_signal(signal.SIGINT)
        self.process.wait(10)
        assert self._statistic("dropped by kernel") == 0, self.log.read_text()

    def _is_at_rest(self):
        """Whether nothing was written between several looks, in each of which tcpdump ran.

        What the kernel counts as received is no measure: frames of the other direction are among them.
        """
        looks = {self._captured() for _ in range(4)}
        return len(looks) == 1

    def _captured(self):
        before = self.log.read_text().count("dropped by kernel")
        self.process.send_signal(signal.SIGUSR1)
        wait_until(lambda: self.log.read_text().count("dropped by kernel") > before, "tcpdump counts")
        return self._statistic("captured")

    def _statistic(self, what):
        """The last number that tcpdump told: `12 packets captured`."""
        line = [line for line in self.log.read_text().replace(", ", "\n").splitlines() if line.endswith(what)][-1]
        return int(line.split()[-len(what.split()) - 2])

    def lines(self, filter, *more):
        self.stop()
        return tshark(self.path, filter, *more)

    def count_of(self, filter):
        return len(self.lines(filter))

    def fields(self, filter, *names):
        """A list of values per frame; a field that occurs in several headers has them all."""
        options = [item for name in names for item in ("-e", name)]
        return [line.split("\t") for line in self.lines(filter, "-T", "fields", *options)]

    def faults(self, mtu=None):
        self.stop()
        return faults(self.path, mtu)
