// SPDX-License-Identifier: Apache-2.0
import DataPlane
import TestSupport
import Testing

@testable import ControlPlane

/// Who is given what comes from VIPs; nothing is sent.
@Suite struct TunnelSocketsTests {
    private static let port: UInt16 = 40000

    private static func tunnel(_ family: AddressFamily) -> Tunnel {
        let isIPv4 = family == .ipv4
        return Tunnel(
            vip: PlanFixture.address(isIPv4 ? "40.1.1.1" : "2001:db8:40::1"), port: 80,
            source: PlanFixture.address(isIPv4 ? "20.1.1.1" : "2001:db8::1"),
            backend: PlanFixture.address("20.1.1.10"),
            outerSource: PlanFixture.address("20.1.1.1"), largestPacket: 1480)
    }

    /// What came of a packet for every inbox of one number.
    private static func inboxes(
        given packet: InnerPacket, of sockets: TunnelSockets, _ loop: ProbeLoop
    ) -> Set<TunnelInbox> {
        var taken: Set<TunnelInbox> = []
        let attempts = AddressFamily.allCases.flatMap { family in
            [TunnelInbox.tcp(family, port), .udp(family, port), .echo(family, port)].map { inbox in
                TunnelDatagramAttempt(
                    loop, sockets, tunnel(family), inbox, packet, timeout: .seconds(60),
                    judge: { _ in
                        taken.insert(inbox)
                        return nil
                    }, finish: { _ in })
            }
        }
        attempts.forEach(sockets.expect)
        sockets.deliver(packet)
        attempts.forEach(sockets.forget)
        sockets.deliver(packet)
        return taken
    }

    @Test(arguments: AddressFamily.allCases, [InnerPacket.tcp, InnerPacket.udp])
    func `ports of TCP and UDP and of both families are told apart`(
        _ family: AddressFamily, _ transport: UInt8
    ) throws {
        let loop = try ProbeLoop()
        let tunnel = Self.tunnel(family)
        var bytes = WireBytes()
        bytes.put(tunnel.port)
        bytes.put(Self.port)
        bytes.bytes += [UInt8](repeating: 0, count: 16)
        let packet = InnerPacket(
            tunnel.vip, tunnel.source, transport, bytes.bytes,
            checksumOffset: transport == InnerPacket.tcp ? 16 : 6)
        let own =
            transport == InnerPacket.tcp
            ? TunnelInbox.tcp(family, Self.port) : .udp(family, Self.port)
        #expect(Self.inboxes(given: packet, of: TunnelSockets(loop), loop) == [own])
    }

    @Test func `a packet of another VIP or to another address is nobody's`() throws {
        let loop = try ProbeLoop()
        let tunnel = Self.tunnel(.ipv4)
        let other = PlanFixture.address("40.1.1.2")
        for (source, destination) in [(other, tunnel.source), (tunnel.vip, other)] {
            var bytes = WireBytes()
            bytes.put(tunnel.port)
            bytes.put(Self.port)
            bytes.bytes += [0, 8, 0, 0]
            let packet = InnerPacket(
                source, destination, InnerPacket.udp, bytes.bytes, checksumOffset: 6)
            #expect(Self.inboxes(given: packet, of: TunnelSockets(loop), loop).isEmpty)
        }
    }
}
