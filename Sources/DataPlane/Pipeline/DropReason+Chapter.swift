// SPDX-License-Identifier: Apache-2.0

/// All that an operator needs to know about a way to lose frames: what `drops --explain` prints.
public struct DropChapter: Hashable, Sendable {
    /// What has happened.
    public var meaning: String
    /// Why it usually happens, the most frequent first.
    public var causes: [String]
    /// What to look at first.
    public var look: String
    /// Commands that show it.
    public var commands: [String]

    /// A chapter of its parts.
    public init(meaning: String, causes: [String], look: String, commands: [String]) {
        self.meaning = meaning
        self.causes = causes
        self.look = look
        self.commands = commands
    }
}

extension DropReason {
    /// All that an operator needs to know about it.
    public var chapter: DropChapter {
        switch self {
        case .malformed, .badChecksum, .badSource, .options, .fragment, .notIP: packetChapter
        case .noService, .noBackend, .noConnection, .policy, .rateLimited: decisionChapter
        case .connectionTableFull, .snatExhausted, .ttlExpired, .tooBig, .noNeighbour, .txFull:
            resourceChapter
        }
    }

    /// Of what is wrong with the packet itself.
    private var packetChapter: DropChapter {
        switch self {
        case .malformed:
            DropChapter(
                meaning: """
                    A header contradicts the frame: a length that is longer than what is there, a \
                    wrong version, TCP flags that cannot occur, a chain of extension headers that \
                    does not end. Also an ICMP error that quotes nothing readable.
                    """,
                causes: [
                    "scans and attack tools",
                    "a damaged or truncated frame, by a cable, a NIC or a mirror port",
                    "large receive offload on the interface: merged frames",
                ],
                look: "the frames themselves: Wireshark says which field is wrong.",
                commands: [
                    "xdplb capture --reason malformed -c 20 -w malformed.pcapng",
                    "ethtool -k IFACE | grep large-receive-offload",
                ])
        case .badChecksum:
            DropChapter(
                meaning: """
                    The checksum of the IPv4 header, or of an ICMP message to a VIP, is wrong. \
                    Checksums of TCP and UDP are the backend's to check.
                    """,
                causes: [
                    "a device on the way damages packets, or computes checksums wrongly",
                    "a virtual interface that leaves checksums to hardware that is not there",
                ],
                look:
                    "whether all of them come through one router: compare the source MAC addresses.",
                commands: [
                    "xdplb capture --reason bad_checksum -c 20 -w bad.pcapng",
                    "ethtool -k IFACE | grep checksumming",
                ])
        case .badSource:
            DropChapter(
                meaning: """
                    The source cannot be a client: loopback, multicast, broadcast, the VIP itself, or \
                    an address of the load balancer's own.
                    """,
                causes: [
                    "spoofed packets (land attack, reflection)",
                    "a backend that sends to its own VIP through the load balancer",
                ],
                look: "the source in the example, and whether the edge filters it (BCP 38).",
                commands: [
                    "xdplb drops", "xdplb capture --reason bad_source -c 20 -w source.pcapng",
                ])
        case .options:
            DropChapter(
                meaning: """
                    The packet has a source route, or IP options that contradict themselves. Source \
                    routes are refused on purpose: they lead round filters.
                    """,
                causes: ["scans and old diagnostic tools", "damaged headers"],
                look: "the options of the packets.",
                commands: ["xdplb capture --reason options -c 20 -w options.pcapng"])
        case .fragment:
            DropChapter(
                meaning: """
                    A fragment that cannot be attributed to a flow: its first fragment has not come, \
                    came later, was dropped itself, or they overlap.
                    """,
                causes: [
                    "fragments out of order, over several paths",
                    "'connections.fragments: drop' is configured",
                    "an attack with fragments",
                ],
                look: "whether the clients' packets need to be fragmented at all: MTU and MSS.",
                commands: [
                    "xdplb capture --reason fragment -c 50 -w fragments.pcapng",
                    "grep -A3 connections: /etc/xdplb/xdplb.yaml",
                ])
        default:
            DropChapter(
                meaning: """
                    The frame was given to xdplb, but is neither IPv4 nor IPv6, or carries neither \
                    TCP nor UDP nor ICMP. The steering program should have left it to the kernel.
                    """,
                causes: [
                    "a VLAN tag other than 'interfaces[0].vlan'",
                    "a fragment or extension header that hides another protocol",
                ],
                look: "the frames: their EtherType, VLAN and protocol.",
                commands: ["xdplb capture --reason not_ip -c 20 -w not-ip.pcapng"])
        }
    }

    /// Of what was decided about a packet.
    private var decisionChapter: DropChapter {
        switch self {
        case .noService:
            DropChapter(
                meaning: """
                    The packet is for a VIP, but no service has that port and protocol; or it is ICMP \
                    that no VIP answers.
                    """,
                causes: [
                    "scans of the VIP's other ports",
                    "a service that was deleted, or is configured with another port or protocol",
                    "'icmp.echo_reply: false', for pings",
                ],
                look: "the port in the example, and the list of services.",
                commands: ["xdplb drops", "xdplb service list"])
        case .noBackend:
            DropChapter(
                meaning: """
                    The service has no backend that may get new connections, and 'on_no_backend' says \
                    drop; with 'reject' the client is told as well.
                    """,
                causes: [
                    "all backends are draining, disabled, of weight 0 or unhealthy",
                    "the next hop of every backend is unresolved",
                ],
                look: "the column ELIGIBLE of the backends: it says why each is not.",
                commands: ["xdplb backend list SERVICE", "xdplb neighbours list"])
        case .noConnection:
            DropChapter(
                meaning: """
                    A reply to a SNAT address, TCP in mid-stream of a snat service, or an ICMP error, \
                    that belongs to no tracked connection.
                    """,
                causes: [
                    "xdplb was restarted: snat connections do not outlive it",
                    "the idle timeout is shorter than the silence of the connection",
                    "asymmetric routing: the SYN came to another load balancer",
                    "a backend that still sends after its connection has ended",
                ],
                look: "whether it began with a restart; then the timeouts of the service.",
                commands: [
                    "xdplb status", "xdplb service show SERVICE -o json",
                    "xdplb connections list --client ADDRESS",
                ])
        case .policy:
            DropChapter(
                meaning: """
                    The client's address is outside 'source_ranges' of the service; or an ICMPv6 \
                    packet-too-big claims an MTU below 1280, which no link has.
                    """,
                causes: [
                    "somebody who is not meant to use the service",
                    "a range that is missing in the configuration, such as a new office's",
                ],
                look: "the source in the example against 'clients' of the service.",
                commands: ["xdplb drops", "xdplb service show SERVICE"])
        default:
            DropChapter(
                meaning: """
                    Above a bound: of new connections of one source ('new_per_source'), of echo \
                    replies and ICMP errors, or of ICMP errors about nothing from one source.
                    """,
                causes: [
                    "a flood from one source, or many clients behind one address",
                    "a ping flood", "somebody who guesses connections with ICMP errors",
                ],
                look: "the source in the example, and how many connections it has.",
                commands: ["xdplb drops", "xdplb connections count --client ADDRESS"])
        }
    }

    /// Of what was lacking.
    private var resourceChapter: DropChapter {
        switch self {
        case .connectionTableFull:
            DropChapter(
                meaning: """
                    The worker's connection table has no entry left, none could be evicted, and the \
                    flow cannot go on without: it is snat, or 'table_full: drop' is configured.
                    """,
                causes: [
                    "more connections than 'connections.entries_per_worker'",
                    "long timeouts and many clients that never close",
                    "a flood of new connections",
                ],
                look: "connections in use against the capacity, and which service has them.",
                commands: ["xdplb status", "xdplb service list", "xdplb connections count"])
        case .snatExhausted:
            DropChapter(
                meaning: """
                    Every port of the SNAT pool towards this backend is in use by the worker's \
                    connections.
                    """,
                causes: [
                    """
                    more connections to one backend than the pool has ports: 64 512 per address \
                    and protocol, divided among workers
                    """,
                    "closed connections whose ports still rest ('reuse_after')",
                ],
                look: "connections per backend against the ports of the pool.",
                commands: [
                    "xdplb backend list SERVICE",
                    "xdplb connections count --backend SERVICE/BACKEND",
                ])
        case .ttlExpired:
            DropChapter(
                meaning: """
                    The time to live or hop limit ran out here; the sender was told if the bound \
                    allows it. Only in snat: dsr leaves the inner packet as it is.
                    """,
                causes: ["traceroute", "a routing loop between the load balancer and a router"],
                look:
                    "whether one packet passes several times: equal identifications in a capture.",
                commands: ["xdplb capture --reason ttl_expired -c 50 -w ttl.pcapng"])
        case .tooBig:
            DropChapter(
                meaning: """
                    The packet does not fit the MTU after the rewrite: the tunnel adds 20 bytes (IPv4) \
                    or 40 (IPv6). The sender was told the size that fits, if it may be told.
                    """,
                causes: [
                    "full-size segments in dsr, while the MTU towards the backends is not larger",
                    "ICMP that is filtered on the way: clients never learn the size",
                ],
                look:
                    "whether clients adapt: the rate falls back to 0 after each connection's start.",
                commands: [
                    "ip link show IFACE", "xdplb trace \"tcp CLIENT:PORT > VIP:PORT\" --size 1500",
                    "xdplb capture --reason too_big -c 20 -w too-big.pcapng",
                ])
        case .noNeighbour:
            DropChapter(
                meaning: """
                    The hardware address of the next hop did not become known within 3 s, or too many \
                    frames wait for it already.
                    """,
                causes: [
                    "the backend or gateway is down, or in another VLAN",
                    "no route to the backend or to the client",
                ],
                look: "the next hops that are pending or failed.",
                commands: ["xdplb neighbours list", "ip route get ADDRESS", "ip neigh"])
        default:
            DropChapter(
                meaning: """
                    The TX ring had no room, or the ring to the worker that owns the connection.
                    """,
                causes: [
                    "the NIC sends more slowly than frames come in",
                    "one worker is overloaded with frames that others hand over to it",
                ],
                look: "busy share of the workers, and how many frames they hand over.",
                commands: ["xdplb status", "xdplb status -o json | jq '.workers[].handed_off'"])
        }
    }
}
