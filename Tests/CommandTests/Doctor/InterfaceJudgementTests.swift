// SPDX-License-Identifier: Apache-2.0
import ControlPlane
import DataPlane
import Glibc
import Netlink
import Testing

@testable import XSKRing
@testable import xdplb

/// What the doctor says to facts of an interface.
@Suite struct InterfaceJudgementTests {
    private static func driver(
        _ name: String = "ice", features: XDPFeatures? = [.native, .redirect, .zeroCopy],
        _ zeroCopy: DriverCheck.ZeroCopy = .bound,
        bind: InterfaceConfiguration.BindMode = .auto,
        attach: InterfaceConfiguration.AttachMode = .native, running: DriverCheck.Modes? = nil
    ) -> DriverCheck {
        DriverCheck(
            interface: "eth0", driver: name, queueCount: 1, attachMode: attach, bindMode: bind,
            features: features,
            zeroCopy: zeroCopy, running: running)
    }

    @Test(arguments: [
        JudgementCase(
            "zero-copy was bound", driver(), "ok driver eth0: ice, native XDP, zero-copy"),
        JudgementCase(
            "veth copies", driver("veth", features: [.native, .redirect], .absent),
            "ok driver eth0: veth, native XDP, copy mode"),
        JudgementCase(
            "zero-copy is demanded in vain",
            driver("veth", features: [.native, .redirect], .absent, bind: .zerocopy),
            """
            FAIL driver eth0: veth, native XDP, no zero-copy on this kernel: 'bind_mode: zerocopy' \
            refuses to start -> 'bind_mode: auto', or a kernel whose driver has it
            """),
        JudgementCase(
            "a veth whose other end is wider", driver("veth", features: [], .untried),
            """
            FAIL driver eth0: veth, with 1 RX queues for more TX queues of its other end: the \
            driver accepts no XDP program with these queues; start is refused -> where its other end \
            is: ethtool -L PEER rx 1 tx 1
            """),
        JudgementCase(
            "a driver without XDP", driver("e1000", features: [], .untried),
            """
            FAIL driver eth0: e1000 has no native XDP: start is refused -> 'attach_mode: auto' \
            works, slower
            """),
        JudgementCase(
            "a driver without XDP where generic will do",
            driver("e1000", features: [], .untried, attach: .auto),
            """
            warn driver eth0: e1000 has no native XDP: it is attached in generic mode, slower -> a \
            NIC whose driver has native XDP
            """),
        JudgementCase(
            "a flag does not promise the bind",
            driver("virtio_net", .refused(EINVAL), bind: .zerocopy),
            """
            warn driver eth0: virtio_net, native XDP; zero-copy was refused (EINVAL): 'bind_mode: \
            zerocopy' may refuse to start -> the hypervisor's VIRTIO_F_ACCESS_PLATFORM (QEMU: \
            'iommu_platform=on')
            """),
        JudgementCase(
            "before 6.3 a trial bind tells", driver("i40e", features: nil, .bound),
            "ok driver eth0: i40e, native XDP unknown before Linux 6.3, zero-copy"),
        JudgementCase(
            "a daemon tells how it runs",
            driver(running: .init(attach: "native", bind: "zerocopy")),
            "ok driver eth0: ice, running with native XDP, zerocopy mode"),
        JudgementCase(
            "a daemon that runs behind a generic program",
            driver("e1000", running: .init(attach: "generic", bind: "copy")),
            """
            warn driver eth0: e1000, running with generic XDP, copy mode: every frame is made a \
            packet of the kernel's first, which is slow -> a NIC whose driver has native XDP
            """),
    ])
    func `the driver is judged`(_ judgement: JudgementCase) { judgement.verify() }

    private static func attach(
        _ holder: XDPHolder?, isRunning: Bool = false
    ) -> AttachCheck {
        AttachCheck(interface: "eth0", holder: holder, isRunning: isRunning)
    }

    @Test(arguments: [
        JudgementCase(
            "the hook is free", attach(nil), "ok attach eth0: no XDP program is attached"),
        JudgementCase(
            "it is ours",
            attach(
                .init(
                    program: 7, name: "xdplb_steer", mode: .native,
                    process: .init(identifier: 42, command: "xdplb")), isRunning: true),
            "ok attach eth0: XDP program 7 'xdplb_steer', native, held by process 42 (xdplb)"),
        JudgementCase(
            "somebody holds it",
            attach(
                .init(
                    program: 7, name: "filter", mode: .native,
                    process: .init(identifier: 42, command: "guard"))),
            """
            FAIL attach eth0: XDP program 7 'filter', native, held by process 42 (guard): start is \
            refused, as it is never replaced -> kill 42, or let that process do the job
            """),
        JudgementCase(
            "nobody holds it any more",
            attach(.init(program: 7, name: nil, mode: .generic, process: nil)),
            """
            FAIL attach eth0: XDP program 7, generic, held by no process that can be seen: start is \
            refused, as it is never replaced -> ip link set dev eth0 xdpgeneric off
            """),
        JudgementCase(
            "an xdplb that is not reached",
            attach(
                .init(
                    program: 7, name: "xdplb_steer", mode: .native,
                    process: .init(identifier: 42, command: "xdplb"))),
            """
            FAIL attach eth0: XDP program 7 'xdplb_steer', native, held by process 42 (xdplb): an \
            xdplb that does not answer at the admin socket; start is refused -> kill 42, or let \
            that process do the job
            """),
    ])
    func `the XDP hook is judged`(_ judgement: JudgementCase) { judgement.verify() }

    private static func queues(
        _ count: Int, bound: [Int], driver: String = "ice", combined: Int = 4, maximum: Int = 64,
        rx: Int = 0, isRunning: Bool = false, cpus: Int = 8
    ) -> QueuesCheck {
        QueuesCheck(
            interface: "eth0", driver: driver, queueCount: count,
            channels: .init(combined: combined, combinedMaximum: maximum, rx: rx, tx: rx),
            bound: bound, isRunning: isRunning, cpuCount: cpus)
    }

    @Test(arguments: [
        JudgementCase(
            "all have sockets", queues(4, bound: [0, 1, 2, 3], isRunning: true),
            "ok queues eth0: 4 queues, each with a socket"),
        JudgementCase(
            "one will have one", queues(1, bound: [0]),
            "ok queues eth0: 1 queue, all of which get sockets"),
        JudgementCase(
            "most have none", queues(16, bound: [0, 1, 2, 3], combined: 16),
            """
            FAIL queues eth0: 16 queues, sockets on 0-3: 12/16 of the VIP traffic bypasses xdplb -> \
            ethtool -L eth0 combined 4
            """),
        JudgementCase(
            "a driver with queues apart", queues(2, bound: [0], driver: "veth", combined: 0, rx: 2),
            """
            FAIL queues eth0: 2 queues, sockets on 0: 1/2 of the VIP traffic bypasses xdplb -> \
            ethtool -L eth0 rx 1 tx 1
            """),
        JudgementCase(
            "the first one is left out", queues(2, bound: [1]),
            """
            FAIL queues eth0: 2 queues, sockets on 1: 1/2 of the VIP traffic bypasses xdplb -> \
            'queues' that count from 0, or none for all
            """),
        JudgementCase(
            "virtio would grow",
            queues(2, bound: [0, 1], driver: "virtio_net", combined: 2, maximum: 10),
            """
            FAIL queues eth0: 2 of 10 channels, and virtio adds 8 when a program is attached: \
            traffic on the added ones would bypass xdplb; start is refused -> ethtool -L eth0 \
            combined 10
            """),
        JudgementCase(
            "virtio has no room to grow",
            queues(4, bound: [0, 1, 2, 3], driver: "virtio_net", combined: 4, maximum: 8),
            "ok queues eth0: 4 queues, all of which get sockets"),
        JudgementCase(
            "more than there is room for", queues(300, bound: Array(0..<300), combined: 300),
            "FAIL queues eth0: 300 queues: xdplb takes 256 at most -> ethtool -L eth0 combined 256"),
    ])
    func `queues are judged`(_ judgement: JudgementCase) { judgement.verify() }

    private static func rings(
        _ nic: InterfaceFacts.Rings?, fill: Int = 8192, rx: Int = 4096
    ) -> RingsCheck {
        RingsCheck(interface: "eth0", nic: nic, sockets: ["rx_ring": rx, "fill_ring": fill])
    }

    @Test(arguments: [
        JudgementCase("a veth has none", rings(nil), "ok rings RX 4096, fill 8192 descriptors"),
        JudgementCase(
            "enough", rings(.init(rx: 1024, rxMaximum: 4096, tx: 1024, txMaximum: 4096)),
            "ok rings NIC 1024 of 4096, RX 4096, fill 8192 descriptors"),
        JudgementCase(
            "a maximum that is no power of two is enough",
            rings(.init(rx: 511, rxMaximum: 511, tx: 511, txMaximum: 511)),
            "ok rings NIC 511 of 511, RX 4096, fill 8192 descriptors"),
        JudgementCase(
            "the NIC has few", rings(.init(rx: 256, rxMaximum: 2047, tx: 256, txMaximum: 2047)),
            """
            warn rings eth0 has 256 RX descriptors, of 2047: bursts of more frames are lost in the \
            NIC -> ethtool -G eth0 rx 2047
            """),
        JudgementCase(
            "the NIC has more than the fill ring",
            rings(.init(rx: 4000, rxMaximum: 8192, tx: 4000, txMaximum: 8192), fill: 2048),
            """
            warn rings fill_ring has 2048 descriptors, the NIC's RX ring 4000: with zero-copy the \
            NIC's ring is never full of chunks -> fill_ring: 4096
            """),
        JudgementCase(
            "no power of two", rings(nil, rx: 3000),
            "FAIL rings rx_ring has 3000 descriptors: it must be a power of two -> rx_ring: 2048"),
    ])
    func `rings are judged`(_ judgement: JudgementCase) { judgement.verify() }

    private static func offloads(
        _ active: Set<String>, driver: String = "gve"
    ) -> OffloadsCheck {
        OffloadsCheck(
            driver: driver, offloads: OffloadFacts(interface: "eth0", active: active))
    }

    private static func peer(_ active: Set<String>) -> PeerCheck {
        PeerCheck(
            interface: "eth0", driver: "veth",
            peer: .read(
                OffloadFacts(interface: "to-lb", active: active), prefix: "ip netns exec switch "))
    }

    @Test(arguments: [
        JudgementCase(
            "software may merge after us", offloads(["rx-gro", "rx-checksum"]),
            "ok offloads eth0: nothing merges frames"),
        JudgementCase(
            "hardware must not", offloads(["rx-lro", "rx-gro-hw"]),
            """
            FAIL offloads large-receive-offload is on: merged frames cannot be forwarded -> ethtool \
            -K eth0 lro off
            """,
            """
            FAIL offloads rx-gro-hw is on: merged frames cannot be forwarded -> ethtool -K eth0 \
            rx-gro-hw off
            """),
        JudgementCase(
            "virtio turns it off by itself", offloads(["rx-gro-hw"], driver: "virtio_net"),
            "ok offloads eth0: nothing merges frames"),
        JudgementCase(
            "a driver that does not tell", OffloadsCheck(driver: "?", offloads: nil),
            "info offloads the driver does not tell its offloads"),
        JudgementCase(
            "the other end of a veth finishes checksums", peer(["rx-gro", "tx-lockless"]),
            "ok offloads to-lb, its other end, finishes checksums"),
        JudgementCase(
            "it does not, which kills TCP",
            peer(["tx-checksum-ip-generic", "tx-tcp-segmentation", "tx-generic-segmentation"]),
            """
            FAIL offloads to-lb, the other end of eth0, has tx, tso, gso on: partial checksums, \
            and backends drop the packets -> ip netns exec switch ethtool -K to-lb tx off tso off \
            gso off
            """),
        JudgementCase(
            "it is out of sight",
            PeerCheck(interface: "eth0", driver: "veth", peer: .hidden),
            """
            warn offloads the other end of the veth eth0 is out of sight: with its tx checksum, TSO \
            or GSO on, backends drop the packets -> where it is: ethtool -K PEER tx off tso off gso \
            off
            """),
        JudgementCase(
            "a NIC has no other end here",
            PeerCheck(interface: "eth0", driver: "ice", peer: .none)),
    ])
    func `offloads are judged`(_ judgement: JudgementCase) { judgement.verify() }

    private static func mtu(
        _ mtu: Int, overhead: Int? = 20, headers: Int = 40, driver: String = "ice",
        tooBig: EncapsulationConfiguration.TooBig = .reply, clamps: Bool = false,
        chunk: Int = 4096
    ) -> MTUCheck {
        MTUCheck(
            interface: "eth0", driver: driver, mtu: mtu, chunkSize: chunk, overhead: overhead,
            headers: headers, tooBig: tooBig, clampsMSS: clamps)
    }

    @Test(arguments: [
        JudgementCase("room", mtu(1520), "ok mtu 1520, with room for the tunnel's 20"),
        JudgementCase("snat needs none", mtu(1500, overhead: nil), "ok mtu 1500, no tunnel"),
        JudgementCase(
            "too small", mtu(1500),
            """
            warn mtu 1500, the tunnel adds 20: full-size segments draw ICMP too big -> ip link set \
            eth0 mtu 1520, or advmss 1440 on the backends
            """),
        JudgementCase(
            "too small for IPv6, in silence", mtu(1519, overhead: 40, headers: 60, tooBig: .drop),
            """
            warn mtu 1519, the tunnel adds 40: full-size segments are dropped -> ip link set eth0 \
            mtu 1540, or advmss 1419 on the backends
            """),
        JudgementCase(
            "clamped", mtu(1500, clamps: true),
            """
            info mtu 1500, the tunnel adds 20: segments are kept to 1440 bytes by 'mss_clamp: auto'
            """),
        JudgementCase(
            "frames do not fit chunks", mtu(9000),
            """
            FAIL mtu 9000, and chunks of 4096 bytes hold frames of MTU 3818: start is refused -> ip \
            link set eth0 mtu 3818
            """),
        JudgementCase(
            "small chunks hold less, and igb cuts them", mtu(1800, driver: "igb", chunk: 2048),
            """
            FAIL mtu 1800, and chunks of 2048 bytes hold frames of MTU 1770: start is refused -> ip \
            link set eth0 mtu 1770, or 'chunk_size: 4096'
            """,
            """
            FAIL mtu chunks of 2048 bytes: igb delivers frames over 1024 bytes truncated; start is \
            refused -> chunk_size: 4096
            """),
        JudgementCase(
            "virtio takes no program", mtu(3600, driver: "virtio_net"),
            """
            FAIL mtu 3600, and virtio_net takes XDP programs up to 3506: start is refused -> ip link \
            set eth0 mtu 3506
            """),
    ])
    func `the MTU is judged`(_ judgement: JudgementCase) { judgement.verify() }

    private static func hash(
        queues: Int = 4, ipv4: Bool? = true, ipv6: Bool? = true, key: Bool = true
    ) -> HashCheck {
        HashCheck(
            interface: "eth0", queueCount: queues,
            hash: HashFacts(ipv4Ports: ipv4, ipv6Ports: ipv6, hasKey: key), udpFamilies: [.ipv4],
            hasSNAT: true)
    }

    @Test(arguments: [
        JudgementCase(
            "ports count", hash(), "ok rss eth0: ports count for UDP; the hash key is readable"),
        JudgementCase(
            "they do not, for the family that has UDP", hash(ipv4: false, ipv6: false),
            """
            warn rss udp4 hashed on addresses only: clients behind one NAT share a core -> ethtool \
            -N eth0 rx-flow-hash udp4 sdfn
            """),
        JudgementCase(
            "one queue", hash(queues: 1, ipv4: false), "ok rss eth0: one queue, nothing to spread"),
        JudgementCase(
            "a driver that does not tell", hash(ipv4: nil, ipv6: nil, key: false),
            "info rss eth0: the driver does not tell how it spreads flows"),
        JudgementCase(
            "a key that is kept secret", hash(key: false),
            """
            info rss eth0: the hash key cannot be read: replies of snat may arrive at another \
            worker, and are handed over
            """),
    ])
    func `hashing is judged`(_ judgement: JudgementCase) { judgement.verify() }
}
