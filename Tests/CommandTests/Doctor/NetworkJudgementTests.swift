// SPDX-License-Identifier: Apache-2.0
import ControlPlane
import DataPlane
import Glibc
import Testing

@testable import xdplb

/// What the doctor says to facts of neighbours, VIPs and backends.
@Suite struct NetworkJudgementTests {
    private static func address(_ text: String) -> IPAddress {
        IPAddress(text) ?? IPAddress(high: 0, low: 0)
    }

    private static func way(
        _ name: String, _ target: String, via hop: String?, isResolved: Bool = true
    ) -> NeighboursCheck.Way {
        NeighboursCheck.Way(
            names: [name], address: address(target), nextHop: hop.map(address),
            isResolved: isResolved)
    }

    private static func neighbours(
        _ ways: [NeighboursCheck.Way], gateways: [NeighboursCheck.Way] = [], isUp: Bool = true
    ) -> NeighboursCheck {
        NeighboursCheck(interface: "eth0", isUp: isUp, ways: ways, gateways: gateways)
    }

    @Test(arguments: [
        JudgementCase(
            "all are known",
            neighbours(
                [
                    way("web/a", "10.1.1.1", via: "10.0.0.1"),
                    way("web/b", "10.1.1.2", via: "10.0.0.1"),
                ],
                gateways: [way("default route", "10.0.0.1", via: "10.0.0.1")]),
            "ok neighbours eth0: 1 next hop resolved; default gateway 10.0.0.1"),
        JudgementCase(
            "no route", neighbours([way("web/a", "10.1.1.1", via: nil, isResolved: false)]),
            """
            FAIL neighbours web/a: no route to 10.1.1.1 leaves by eth0: it gets no connection -> ip \
            route add 10.1.1.1/32 via GATEWAY dev eth0
            """),
        JudgementCase(
            "nobody answers",
            neighbours([way("web/a", "10.0.0.9", via: "10.0.0.9", isResolved: false)]),
            """
            FAIL neighbours web/a: next hop 10.0.0.9 does not answer on eth0: it gets no connection \
            -> see whether it is up, and in the same network: ping 10.0.0.9
            """),
        JudgementCase(
            "the gateway does not answer",
            neighbours(
                [], gateways: [way("default route", "10.0.0.1", via: "10.0.0.1", isResolved: false)]
            ),
            """
            FAIL neighbours default route: next hop 10.0.0.1 does not answer on eth0: clients beyond \
            it are not reached -> see whether it is up, and in the same network: ping 10.0.0.1
            """),
        JudgementCase(
            "the interface is down", neighbours([], isUp: false),
            """
            FAIL neighbours eth0 is down, or has no carrier: nothing is forwarded -> ip link set \
            eth0 up
            """),
    ])
    func `neighbours are judged`(_ judgement: JudgementCase) { judgement.verify() }

    private static func vips(
        own: [(String, String, Int)] = [("eth0", "20.1.1.1", 24)], listeners: [Listener] = [],
        vip: String = "40.1.1.1/32"
    ) -> VIPsCheck {
        VIPsCheck(
            services: [
                ServiceConfiguration(
                    name: "web", vips: [IPPrefix(vip)].compactMap(\.self),
                    ports: [.init(port: 80, transport: .tcp)], mode: .dsr)
            ],
            addresses: own.map { .init(interface: $0, address: address($1), prefixLength: $2) },
            listeners: listeners)
    }

    private static func listener(_ text: String, _ port: UInt16) -> Listener {
        Listener(address: address(text), port: port, transport: .tcp)
    }

    @Test(arguments: [
        JudgementCase("apart", vips(), "ok vips 1 VIP, none an address of this host"),
        JudgementCase(
            "a VIP is local", vips(own: [("lo", "40.1.1.1", 32)]),
            """
            FAIL vips web: VIP 40.1.1.1 is an address of this host, on lo: traffic to the host \
            itself, SSH too, would be cut off; start is refused -> ip addr del 40.1.1.1/32 dev lo
            """),
        JudgementCase(
            "a prefix of VIPs contains the host's address", vips(vip: "20.1.1.0/28"),
            """
            FAIL vips web: VIP 20.1.1.0/28 contains 20.1.1.1, an address of this host, on eth0: \
            traffic to the host itself, SSH too, would be cut off; start is refused -> other VIPs, \
            or 'ip addr del 20.1.1.1/24 dev eth0'
            """),
        JudgementCase(
            "a listener at the VIP is hidden", vips(listeners: [listener("40.1.1.1", 80)]),
            """
            warn vips web: something on this host listens at 40.1.1.1:80/tcp: the service hides it: \
            nobody reaches it over the network -> 'ss -lnp' tells which process; have it listen at \
            an address of the host
            """),
        JudgementCase(
            "listeners at other ports, and at all addresses, are not",
            vips(listeners: [listener("40.1.1.1", 22), listener("0.0.0.0", 80)]),
            "ok vips 1 VIP, none an address of this host"),
    ])
    func `VIPs are judged`(_ judgement: JudgementCase) { judgement.verify() }

    @Test func `listeners are read from tables of the kernel, in either byte order of words`() {
        let tcp = """
              sl  local_address rem_address   st tx_queue rx_queue
               0: 0101A8C0:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 1
               1: 0101A8C0:D431 0201A8C0:0050 01 00000000:00000000 00:00000000 00000000 0 0 1
            """
        #expect(Listener.read(tcp, .tcp) == [Self.listener("192.168.1.1", 80)])
        let udp6 = """
              sl  local_address                         remote_address                        st
               0: B80D0120000000000000000010000000:0035 00000000000000000000000000000000:0000 07
            """
        let dns = Listener(
            address: Self.address("2001:db8::10"), port: 53, transport: .udp)
        #expect(Listener.read(udp6, .udp) == [dns])
        #expect(Listener.read("", .tcp).isEmpty)
    }

    private static func backend(
        _ direct: ProbeOutcome, _ tunnel: ProbeOutcome?, losing byteCount: Int? = nil
    ) -> BackendsCheck {
        BackendsCheck(
            patients: [
                .init(
                    service: "web", name: "web-3",
                    address: Endpoint(address: address("10.1.1.13"), port: 80),
                    vip: Endpoint(address: address("203.0.113.10"), port: 80),
                    vips: [address("203.0.113.10")], trusted: IPPrefix(address("192.0.2.5")),
                    direct: direct, tunnel: tunnel, lostByteCount: byteCount)
            ], unprobed: [:])
    }

    private static func outcome(
        _ result: ProbeResult, _ detail: String = "", error: Int32? = nil, rejection: Int32? = nil
    ) -> ProbeOutcome {
        var outcome = ProbeOutcome(result: result, took: .milliseconds(1), detail: detail)
        (outcome.error, outcome.rejection) = (error, rejection)
        return outcome
    }

    private static let answered = outcome(.success)
    private static let refused = outcome(.refused, "refused")
    private static let silent = outcome(.timeout)
    private static let forbidden = outcome(
        .error, "Operation not permitted", error: EPERM)
    private static let attach = """
        on web-3: xdplb decap attach --interface eth0 --vip 203.0.113.10 --trust 192.0.2.5/32 --setup
        """

    @Test(arguments: [
        JudgementCase(
            "both ways", backend(answered, answered),
            "ok backend web: 1 of 1 answer, in the tunnel too"),
        JudgementCase("by snat", backend(answered, nil), "ok backend web: 1 of 1 answer"),
        JudgementCase(
            "a server that listens at the VIP alone", backend(refused, answered),
            "ok backend web: 1 of 1 answer, in the tunnel too"),
        JudgementCase(
            "it does not take the tunnel apart", backend(answered, silent),
            """
            FAIL backend web/web-3: 10.1.1.13:80 answers, 203.0.113.10:80 in the tunnel does not: \
            no decapsulation there, no VIP, or rp_filter -> \(attach)
            """),
        JudgementCase(
            "it says that it does not",
            backend(answered, outcome(.timeout, rejection: ENOPROTOOPT)),
            """
            FAIL backend web/web-3: it rejects tunnels by ICMP: no decapsulation there \
            -> \(attach)
            """),
        JudgementCase(
            "an error by ICMP that is about something else",
            backend(answered, outcome(.timeout, rejection: EHOSTUNREACH)),
            """
            FAIL backend web/web-3: 10.1.1.13:80 answers, 203.0.113.10:80 in the tunnel does not: \
            no decapsulation there, no VIP, or rp_filter -> \(attach)
            """),
        JudgementCase(
            "a server that answers what is no success",
            backend(answered, outcome(.badReply, "SERVFAIL")),
            """
            FAIL backend web/web-3: 203.0.113.10:80 in the tunnel answers SERVFAIL: the server does \
            not serve -> on web-3: look at the server's own log
            """),
        JudgementCase(
            "nothing listens at the VIP", backend(answered, refused),
            """
            FAIL backend web/web-3: 203.0.113.10:80 in the tunnel is refused: it decapsulates, but \
            nothing listens at the VIP there -> on web-3: have the server listen at 203.0.113.10:80
            """),
        JudgementCase(
            "it is down", backend(silent, silent),
            """
            FAIL backend web/web-3: 10.1.1.13:80 does not answer, 203.0.113.10:80 in the tunnel \
            neither: the backend is down or unreachable -> see whether it is up: ping 10.1.1.13
            """),
        JudgementCase(
            "there is no way to it",
            backend(outcome(.timeout, "No route to host", error: EHOSTUNREACH), nil),
            """
            FAIL backend web/web-3: 10.1.1.13:80 does not answer (no route to host): the backend is \
            down or unreachable -> see whether it is up: ping 10.1.1.13
            """),
        JudgementCase(
            "nothing listens at its port", backend(refused, nil),
            """
            FAIL backend web/web-3: 10.1.1.13:80 refuses: nothing listens there -> on web-3: start \
            the server, or correct the port
            """),
        JudgementCase(
            "nothing listens, nor is anything decapsulated", backend(refused, silent),
            """
            FAIL backend web/web-3: 10.1.1.13:80 refuses, 203.0.113.10:80 in the tunnel is silent: \
            nothing listens there, and no decapsulation or no VIP -> \(attach)
            """),
        JudgementCase(
            "a user who may not send tunnels", backend(answered, forbidden),
            "info backend web/web-3: not probed in the tunnel: it needs CAP_NET_RAW"),
        JudgementCase(
            "a user who may not send tunnels, to a backend that is down",
            backend(silent, forbidden),
            """
            FAIL backend web/web-3: 10.1.1.13:80 does not answer, 203.0.113.10:80 in the tunnel \
            neither: the backend is down or unreachable -> see whether it is up: ping 10.1.1.13
            """),
        JudgementCase(
            "a user who may not send echo requests", backend(forbidden, nil),
            "info backend web/web-3: not probed: it needs CAP_NET_RAW"),
        JudgementCase(
            "large packets vanish on the way", backend(answered, answered, losing: 1480),
            "ok backend web: 1 of 1 answer, in the tunnel too",
            """
            warn backend web/web-3: packets of 1480 bytes are lost in the tunnel, small ones pass: \
            the MTU on the way is less than 1500 -> raise it on the way to 10.1.1.13, or lower the \
            MTU of the interface here
            """),
        JudgementCase(
            "a service of UDP", BackendsCheck(patients: [], unprobed: ["dns": "only TCP"]),
            "info backend dns: not probed: only TCP"),
    ])
    func `backends are judged`(_ judgement: JudgementCase) { judgement.verify() }
}
