// SPDX-License-Identifier: Apache-2.0
import DataPlane
import TestSupport
import Testing

@testable import ControlPlane

/// The server's end, as a test plays it.
private struct Server {
    var sequence: UInt32 = 1000
    let source: IPAddress
    let destination: IPAddress

    mutating func segment(
        _ flags: UInt8, acknowledging number: UInt32, _ data: String = ""
    ) -> InnerPacket {
        var bytes = WireBytes()
        bytes.put(UInt16(80))
        bytes.put(UInt16(40000))
        bytes.put(sequence)
        bytes.put(number)
        bytes.put(UInt8(0x50))
        bytes.put(flags)
        bytes.put(UInt16.max)
        bytes.put(UInt32(0))
        bytes.bytes += data.utf8
        sequence &+= UInt32(data.utf8.count) &+ (flags & 3 != 0 ? 1 : 0)
        return InnerPacket(source, destination, InnerPacket.tcp, bytes.bytes, checksumOffset: 16)
    }
}

@Suite struct TunnelStreamTests {
    private typealias Flags = TunnelStream.Flags
    private static let client = PlanFixture.address("20.1.1.1")
    private static let vip = PlanFixture.address("40.1.1.1")
    private var stream = TunnelStream(
        from: client, port: 40000, to: vip, port: 80, initialSequence: .max)
    private var server = Server(source: vip, destination: client)

    private func flags(_ packet: InnerPacket?) -> UInt8? { packet?.payload[13] }
    private func sequence(_ packet: InnerPacket) -> UInt32 {
        WireBytes.number(packet.payload[...], at: 4)
    }
    private func acknowledged(_ packet: InnerPacket?) -> UInt32? {
        packet.map { WireBytes.number($0.payload[...], at: 8) }
    }

    @Test
    mutating func `a connection opens, carries data and ends across the wrap of sequence numbers`()
    {
        let syn = stream.open()
        #expect(flags(syn) == Flags.syn && sequence(syn) == .max)
        let opened = stream.receive(server.segment(Flags.syn | Flags.ack, acknowledging: 0))
        #expect(opened.event == .opened)
        #expect(acknowledged(opened.answers.first) == 1001)
        let request = stream.send(Array("GET".utf8))
        #expect(request.count == 1 && sequence(request[0]) == 0)
        let data = stream.receive(server.segment(Flags.ack, acknowledging: 3, "hello"))
        #expect(data.event == .data(Array("hello".utf8)))
        #expect(acknowledged(data.answers.first) == 1006)
        let end = stream.receive(server.segment(Flags.fin | Flags.ack, acknowledging: 3))
        #expect(end.event == .ended)
        #expect(acknowledged(end.answers.first) == 1007)
        #expect(stream.reset().map(flags) == [Flags.rst | Flags.ack])
        #expect(stream.reset().map(sequence) == [3])
    }

    @Test mutating func `a reset to the SYN is a refusal when it acknowledges it`() {
        _ = stream.open()
        let other = stream.receive(server.segment(Flags.rst | Flags.ack, acknowledging: 77))
        #expect(other.event == .nothing && other.answers.isEmpty)
        let own = stream.receive(server.segment(Flags.rst | Flags.ack, acknowledging: 0))
        #expect(own.event == .refused)
    }

    @Test
    mutating func `a connection that the port had before is reset, and the SYN is sent again once`()
    {
        _ = stream.open()
        let old = stream.receive(server.segment(Flags.ack, acknowledging: 555))
        #expect(old.event == .nothing)
        #expect(old.answers.map(flags) == [Flags.rst, Flags.syn])
        #expect(old.answers.map(sequence) == [555, .max])
        // The backend has forgotten it, and opens the new one.
        let opened = stream.receive(server.segment(Flags.syn | Flags.ack, acknowledging: 0))
        #expect(opened.event == .opened)
    }

    @Test mutating func `a host that answers every SYN out of turn is not asked forever`() {
        _ = stream.open()
        _ = stream.receive(server.segment(Flags.ack, acknowledging: 555))
        for number in 556...560 as ClosedRange<UInt32> {
            let again = stream.receive(server.segment(Flags.ack, acknowledging: number))
            #expect(again.answers.map(flags) == [Flags.rst])
        }
    }

    @Test mutating func `a request that may be lost is followed by a reset for either case`() {
        _ = stream.open()
        _ = stream.receive(server.segment(Flags.syn | Flags.ack, acknowledging: 0))
        _ = stream.send(Array("GET".utf8))
        #expect(stream.reset().map(sequence) == [0, 3])
        _ = stream.receive(server.segment(Flags.ack, acknowledging: 4_000_000))
        #expect(stream.reset().map(sequence) == [0, 3], "of what was never sent nothing is taken")
        _ = stream.receive(server.segment(Flags.ack, acknowledging: 3))
        #expect(stream.reset().map(sequence) == [3])
    }

    @Test mutating func `a connection that is not open yet is ended at its first number`() {
        _ = stream.open()
        #expect(stream.reset().map(sequence) == [0])
        #expect(stream.reset().map(flags) == [Flags.rst])
    }

    @Test mutating func `what comes out of order is asked for again`() {
        _ = stream.open()
        _ = stream.receive(server.segment(Flags.syn | Flags.ack, acknowledging: 0))
        var ahead = server
        ahead.sequence += 100
        let early = stream.receive(ahead.segment(Flags.ack, acknowledging: 0, "late"))
        #expect(early.event == .nothing)
        #expect(acknowledged(early.answers.first) == 1001)
    }

    @Test mutating func `data that comes with the end is not lost`() {
        _ = stream.open()
        _ = stream.receive(server.segment(Flags.syn | Flags.ack, acknowledging: 0))
        let both = stream.receive(server.segment(Flags.fin | Flags.ack, acknowledging: 0, "bye"))
        #expect(both.event == .data(Array("bye".utf8)))
        #expect(stream.hasEnded)
    }

    @Test(arguments: ["40.1.1.1", "2001:db8::1"])
    func `a packet is read as it was written`(vip: String) {
        let destination = PlanFixture.address(vip)
        let source = PlanFixture.address(destination.family == .ipv4 ? "20.1.1.1" : "2001:db8::2")
        let packet = InnerPacket(
            source, destination, InnerPacket.udp, Array("\0\u{1}\0\u{2}\0\u{b}\0\0abc".utf8),
            checksumOffset: 6)
        #expect(InnerPacket(packet.bytes[...]) == packet)
        for count in 0..<packet.bytes.count {
            #expect(InnerPacket(packet.bytes[..<count]) == nil)
        }
        // Over the pseudo header and the payload with its checksum the sum is 0.
        let covered = WireBytes.pseudoHeader(
            source, destination, InnerPacket.udp, packet.payload.count)
        #expect(WireBytes.checksum(covered + packet.payload) == 0)
    }
}
