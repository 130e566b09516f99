// SPDX-License-Identifier: Apache-2.0
import TestSupport
import Testing

@testable import DataPlane

/// The short way of nearly every packet does what the long one does, and nothing else.
@Suite struct ShortWayTests {
    private static let vlans: [UInt16?] = [nil, 100]

    private static func snapshot(
        vlan: UInt16?, _ change: (inout ForwardingPlan) -> Void = { _ in }
    ) -> ForwardingSnapshot {
        var plan = PlanFixture.mixedPlan()
        plan.link.vlan = vlan
        change(&plan)
        return ForwardingSnapshot(plan)
    }

    /// Plain packets of both families and protocols, and frames that are nearly so.
    private static func packets(vlan: UInt16?) -> [PacketBuilder] {
        var base = PacketBuilder()
        base.vlan = vlan
        var all: [PacketBuilder] = []
        for (source, destination) in [
            ("10.0.0.9", "40.1.1.1"), ("2001:db8:9::9", "2001:db8:40::1"),
        ] {
            for flags in [nil, 0x02, 0x10, 0x18, 0x11] as [UInt8?] {
                for typeOfService in [0, 0xb9] as [UInt8] {
                    all.append(
                        base.with {
                            $0.source = source
                            $0.destination = destination
                            $0.tcpFlags = flags
                            $0.destinationPort = flags == nil ? 53 : 80
                            $0.typeOfService = typeOfService
                            $0.fragment = typeOfService == 0 ? 0x4000 : 0
                            $0.trailer = [0, 0, 0]
                        })
                }
            }
        }
        return all
    }

    /// Calls `body` with a frame in the middle of a chunk.
    private static func withFrame<T>(_ bytes: [UInt8], _ body: (Frame) -> T) -> T {
        var chunk = [UInt8](repeating: 0xee, count: 256) + bytes
        return chunk.withUnsafeMutableBytes { chunk in
            guard let base = chunk.baseAddress else { preconditionFailure("not empty") }
            return unsafe body(
                Frame(start: base + 256, length: bytes.count, headroom: 256))
        }
    }

    /// Reads a frame as the first pass does: as either family.
    private static func parsePlain(
        _ frame: Frame, _ vlan: UInt16?, _ snapshot: borrowing ForwardingSnapshot,
        _ state: inout PacketState
    ) -> Bool {
        func parse<Link: PlainLink>(
            _ link: Link.Type, _ snapshot: borrowing ForwardingSnapshot,
            _ state: inout PacketState
        ) -> Bool {
            PlainIPv4.parse(frame, behind: link, with: snapshot, into: &state)
                || PlainIPv6.parse(frame, behind: link, with: snapshot, into: &state)
        }
        return vlan == nil
            ? parse(UntaggedLink.self, snapshot, &state) : parse(TaggedLink.self, snapshot, &state)
    }

    private static func bytes(_ frame: Frame?) -> [UInt8]? {
        frame.map { unsafe Array($0.contents) }
    }

    @Test(arguments: vlans)
    func `a plain packet is read as the parser of any frame reads it`(vlan: UInt16?) {
        let snapshot = Self.snapshot(vlan: vlan)
        for packet in Self.packets(vlan: vlan) {
            Self.withFrame(packet.frame) { frame in
                var state = PacketState()
                let isPlain = Self.parsePlain(frame, vlan, snapshot, &state)
                #expect(isPlain)
                expectSame(state, frame, snapshot)
            }
        }
    }

    @Test(arguments: vlans)
    func `what is read as plain is never what the parser of any frame refuses`(vlan: UInt16?) {
        let snapshot = Self.snapshot(vlan: vlan)
        var generator = SeededGenerator(state: 8)
        var plain = 0
        let packets = Self.packets(vlan: vlan)
        for _ in 0..<20_000 {
            var bytes = packets[Int.random(in: 0..<packets.count, using: &generator)].frame
            for _ in 0..<Int.random(in: 0...2, using: &generator) {
                let place = Int.random(in: 12..<bytes.count, using: &generator)
                bytes[place] ^= 1 << UInt8.random(in: 0...7, using: &generator)
            }
            if Bool.random(using: &generator) {
                bytes.removeLast(Int.random(in: 0..<bytes.count - 14, using: &generator))
            }
            Self.withFrame(bytes) { frame in
                var state = PacketState()
                guard Self.parsePlain(frame, vlan, snapshot, &state) else { return }
                plain += 1
                expectSame(state, frame, snapshot)
            }
        }
        #expect(plain > 2000)
    }

    private func expectSame(
        _ state: PacketState, _ frame: Frame, _ snapshot: borrowing ForwardingSnapshot
    ) {
        do {
            let parsed = try FlowParser.parse(frame, on: snapshot.link)
            #expect(state.flow == parsed.flow)
            #expect(state.hash == snapshot.flowHash.hash(parsed.flow))
            let layouts = [state.layout, parsed.layout].map { layout in
                unsafe withUnsafeBytes(of: layout) { unsafe Array($0) }
            }
            #expect(layouts[0] == layouts[1])
            #expect(state.direction == .unknown && state.verdict == .undecided)
        } catch {
            // Addresses are looked at where a connection begins.
            #expect(error == .badSource && !FlowParser.canBegin(state.flow))
        }
    }

    @Test(arguments: vlans, [false, true])
    func `a header made in advance is the one that would be written`(
        vlan: UInt16?, hashed: Bool
    ) throws {
        let ipv4 = try #require(IPPrefix("172.16.0.0/16"))
        let ipv6 = try #require(IPPrefix("100::/64"))
        let snapshot = Self.snapshot(vlan: vlan) { plan in
            plan.encapsulation.dscp = hashed ? 46 : nil
            plan.encapsulation.timeToLive = 17
            guard hashed else { return }
            plan.encapsulation.ipv4SourcePrefix = ipv4
            plan.encapsulation.ipv6SourcePrefix = ipv6
        }
        var made = 0
        for backendID in [0, 1] {
            let backend = snapshot.backend(UInt16(backendID))
            let header = unsafe snapshot.tunnels.table.mutableAddress(ofValid: backendID)
            for packet in Self.packets(vlan: vlan) {
                let hash: UInt64 = 0x0123_4567_89ab_cdef &* UInt64(made + 1)
                var state = PacketState()
                let short = Self.withFrame(packet.frame) { frame in
                    _ = Self.parsePlain(frame, vlan, snapshot, &state)
                    var identification: UInt16 = 6
                    return Self.bytes(
                        unsafe TunnelHeader.wrap(
                            frame, state.layout, hash: hash, identification: &identification,
                            in: header, with: snapshot))
                }
                let long = Self.withFrame(packet.frame) { frame in
                    let outer = Encapsulation.Outer(
                        destination: backend.address, hash: hash, identification: 7)
                    let grown = Encapsulation.encapsulate(
                        frame, state.layout, outer, on: snapshot.link)
                    grown.flatMap(EthernetHeader.init(in:))?.setAddresses(
                        destination: backend.mac, source: snapshot.link.mac)
                    return Self.bytes(grown)
                }
                // Only IPv6 behind a VLAN tag has no room in a line, and goes the long way.
                if vlan != nil && backendID == 1 {
                    #expect(unsafe header.pointee.carriedEpoch == .max)
                } else {
                    #expect(short != nil && short == long)
                    made += 1
                }
            }
        }
        #expect(made >= 20)
    }

    @Test(arguments: vlans)
    func `a packet rewritten in words is the one rewritten field by field`(vlan: UInt16?) throws {
        let snapshot = Self.snapshot(vlan: vlan)
        let address = PlanFixture.address
        for var packet in Self.packets(vlan: vlan) {
            for (timeToLive, omits) in [(64, false), (2, true), (1, false)] as [(UInt8, Bool)] {
                packet.timeToLive = timeToLive
                packet.omitsUDPChecksum = omits
                let isIPv6 = packet.source.contains(":")
                let rewrite = SNATRewrite(
                    source: address(isIPv6 ? "2001:db8:20::2" : "20.1.1.2"), sourcePort: 50_001,
                    destination: address(isIPv6 ? "2001:db8:20::20" : "20.1.1.20"),
                    destinationPort: 8080)
                let isUDP = packet.tcpFlags == nil
                var state = PacketState()
                let short = Self.withFrame(packet.frame) { frame in
                    _ = Self.parsePlain(frame, vlan, snapshot, &state)
                    let result = FiveTuple(
                        source: rewrite.source, sourcePort: rewrite.sourcePort,
                        destination: rewrite.destination,
                        destinationPort: rewrite.destinationPort, transport: isUDP ? .udp : .tcp)
                    return Self.bytes(
                        isIPv6
                            ? rewrite.applyPlainIPv6(
                                to: frame, state.layout, isUDP: isUDP, on: snapshot.link)
                            : IPv4Rewrite(from: state.flow, answeredBy: result.reversed).apply(
                                to: frame, state.layout, isUDP: isUDP, on: snapshot.link))
                }
                let long = Self.withFrame(packet.frame) { frame in
                    Self.bytes(
                        try? rewrite.apply(
                            to: frame, state.layout, isUDP: isUDP, on: snapshot.link))
                }
                #expect(short == long)
                #expect((short == nil) == (timeToLive == 1 || isUDP && isIPv6 && omits))
            }
        }
    }

    @Test func `what was rewritten is rewritten backwards, and a TTL is one less each time`() {
        let snapshot = Self.snapshot(vlan: nil)
        for packet in Self.packets(vlan: nil) where !packet.source.contains(":") {
            let isUDP = packet.tcpFlags == nil
            let address = PlanFixture.address
            let reply = FiveTuple(
                source: address("20.1.1.20"), sourcePort: 8080, destination: address("20.1.1.2"),
                destinationPort: 50_001, transport: isUDP ? .udp : .tcp)
            var state = PacketState()
            let result = Self.withFrame(packet.frame) { frame in
                _ = Self.parsePlain(frame, nil, snapshot, &state)
                let rewrite = IPv4Rewrite(from: state.flow, answeredBy: reply)
                #expect(rewrite.isAnswered(by: reply))
                #expect(!rewrite.isAnswered(by: reply.reversed))
                // Towards the backend, then as if from there: the addresses change places twice.
                guard
                    let there = rewrite.apply(
                        to: frame, state.layout, isUDP: isUDP, on: snapshot.link)
                else { return nil as [UInt8]? }
                let back = IPv4Rewrite(from: reply.reversed, answeredBy: state.flow.reversed)
                return Self.bytes(
                    back.apply(to: there, state.layout, isUDP: isUDP, on: snapshot.link))
            }
            let expected = packet.with {
                $0.timeToLive = packet.timeToLive - 2
                $0.trailer = []
            }
            #expect(result == expected.frame)

            let there = IPv4Rewrite(from: state.flow, answeredBy: reply)
            let back = there.backwards(to: state.flow)
            #expect(back.words == IPv4Rewrite(from: reply, answeredBy: state.flow).words)
        }
    }
}
