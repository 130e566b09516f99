// SPDX-License-Identifier: Apache-2.0
import DataPlane
import Testing

@testable import ControlPlane

/// What a probe through a tunnel sends, and how it understands the answer.
@Suite struct AttemptSegmentTests {
    private static func segment(_ source: String, _ destination: String) throws -> AttemptSegment {
        AttemptSegment(
            source: try #require(IPAddress(source)), sourcePort: 40000,
            destination: try #require(IPAddress(destination)), destinationPort: 80,
            sequence: 0x0102_0304, flags: .syn)
    }

    @Test func `a SYN over IPv4 is the known bytes`() throws {
        let packet = try Self.segment("20.1.1.1", "40.1.1.1").packet
        // Both checksums were computed by another program.
        let known: [UInt8] = [
            0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6, 0xfc, 0xcc, 20, 1, 1, 1, 40, 1, 1, 1,
            0x9c, 0x40, 0, 80, 1, 2, 3, 4, 0, 0, 0, 0, 0x50, 2, 0xff, 0xff, 0xd1, 0x48, 0, 0,
        ]
        #expect(packet == known)
    }

    @Test func `data fills a packet up to any size, and the sum over all of it is right`() throws {
        for (source, destination) in [("20.1.1.1", "40.1.1.1"), ("2001:db8::1", "2001:db8:f::10")] {
            var segment = try Self.segment(source, destination)
            let headers = AttemptSegment.overhead(segment.source.family)
            for size in [headers, headers + 1, 1500] {
                segment.dataByteCount = size - headers
                let packet = segment.packet
                #expect(packet.count == size)
                // The words of pseudo header and segment, with the checksum, add up to all ones.
                let tcp = Array(packet.dropFirst(headers - 20))
                let pseudo =
                    segment.source.bytes + segment.destination.bytes
                    + [0, 6, UInt8(tcp.count >> 8), UInt8(tcp.count & 255)]
                var sum = 0
                for (index, byte) in (pseudo + tcp).enumerated() {
                    sum += Int(byte) << (index % 2 == 0 ? 8 : 0)
                }
                while sum > 0xffff { sum = sum & 0xffff + sum >> 16 }
                #expect(sum == 0xffff)
            }
        }
    }

    /// An answer and what it means to a SYN of sequence number 7 with 10 bytes of data.
    struct Case: CustomTestStringConvertible, Sendable {
        var testDescription: String
        var flags: TCPFlags
        var acknowledgement: UInt32
        var outcome: AttemptOutcome?
    }

    @Test(arguments: [
        Case(
            testDescription: "a listener answers", flags: [.syn, .ack], acknowledgement: 8,
            outcome: .answered(in: .milliseconds(3))),
        Case(
            testDescription: "a listener takes the data, too", flags: [.syn, .ack],
            acknowledgement: 18, outcome: .answered(in: .milliseconds(3))),
        Case(
            testDescription: "nothing listens", flags: [.rst, .ack], acknowledgement: 8,
            outcome: .refused),
        Case(
            testDescription: "the answer is to an earlier probe", flags: [.syn, .ack],
            acknowledgement: 7, outcome: nil),
        Case(
            testDescription: "a segment of a connection is no answer", flags: .ack,
            acknowledgement: 8, outcome: nil),
        Case(
            testDescription: "a reset without acknowledgement is for nobody", flags: .rst,
            acknowledgement: 8, outcome: nil),
    ])
    func `an answer is understood when it is to this SYN`(_ answer: Case) throws {
        for headerLength in [20, 40] {
            var packet = [UInt8](repeating: 0, count: headerLength + 20)
            packet[0] = headerLength == 20 ? 0x45 : 0x60
            packet[headerLength + 11] = UInt8(answer.acknowledgement)
            packet[headerLength + 13] = answer.flags.rawValue
            let reply = try #require(AttemptReply(packet))
            let outcome = reply.outcome(
                toSYN: 7, dataByteCount: 10, after: .milliseconds(3))
            #expect(outcome == answer.outcome)
        }
    }

    @Test func `a packet that ends inside its headers is no answer`() {
        for count in 0..<40 {
            #expect(AttemptReply([0x45] + [UInt8](repeating: 0, count: count).dropLast()) == nil)
        }
        #expect(AttemptReply([0x60] + [UInt8](repeating: 0, count: 58)) == nil)
    }
}
