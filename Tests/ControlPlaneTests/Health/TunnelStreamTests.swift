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

    @Test mutating func aConnectionOpensCarriesDataAndEndsAcrossTheWrapOfSequenceNumbers() {
        let syn = stream.open()
        #expect(flags(syn) == Flags.syn && sequence(syn) == .max)
        let opened = stream.receive(server.segment(Flags.syn | Flags.ack, acknowledging: 0))
        #expect(opened.event == .opened)
        #expect(acknowledged(opened.answer) == 1001)
        let request = stream.send(Array("GET".utf8))
        #expect(request.count == 1 && sequence(request[0]) == 0)
        let data = stream.receive(server.segment(Flags.ack, acknowledging: 3, "hello"))
        #expect(data.event == .data(Array("hello".utf8)))
        #expect(acknowledged(data.answer) == 1006)
        let end = stream.receive(server.segment(Flags.fin | Flags.ack, acknowledging: 3))
        #expect(end.event == .ended)
        #expect(acknowledged(end.answer) == 1007)
        #expect(flags(stream.reset()) == Flags.rst | Flags.ack)
    }

    @Test mutating func aResetToTheSynIsARefusalWhenItAcknowledgesIt() {
        _ = stream.open()
        let other = stream.receive(server.segment(Flags.rst | Flags.ack, acknowledging: 77))
        #expect(other.event == .nothing && other.answer == nil)
        let own = stream.receive(server.segment(Flags.rst | Flags.ack, acknowledging: 0))
        #expect(own.event == .refused)
    }

    @Test mutating func aConnectionThatThePortHadBeforeIsReset() {
        _ = stream.open()
        let old = stream.receive(server.segment(Flags.ack, acknowledging: 555))
        #expect(old.event == .nothing)
        #expect(flags(old.answer) == Flags.rst)
        #expect(old.answer.map(sequence) == 555)
    }

    @Test mutating func whatComesOutOfOrderIsAskedForAgain() {
        _ = stream.open()
        _ = stream.receive(server.segment(Flags.syn | Flags.ack, acknowledging: 0))
        var ahead = server
        ahead.sequence += 100
        let early = stream.receive(ahead.segment(Flags.ack, acknowledging: 0, "late"))
        #expect(early.event == .nothing)
        #expect(acknowledged(early.answer) == 1001)
    }

    @Test mutating func dataThatComesWithTheEndIsNotLost() {
        _ = stream.open()
        _ = stream.receive(server.segment(Flags.syn | Flags.ack, acknowledging: 0))
        let both = stream.receive(server.segment(Flags.fin | Flags.ack, acknowledging: 0, "bye"))
        #expect(both.event == .data(Array("bye".utf8)))
        #expect(stream.hasEnded)
    }

    @Test(arguments: ["40.1.1.1", "2001:db8::1"])
    func aPacketIsReadAsItWasWritten(vip: String) {
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
