// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import ControlPlane

@Suite struct PcapngWriterTests {
    private static func writer() -> PcapngWriter {
        var writer = PcapngWriter()
        writer.writeSection(application: "xdplb 1", system: "Linux 6", comment: "hello")
        writer.writeInterface(name: "eth0", description: "veth", snapLength: 96)
        return writer
    }

    private static func packet(_ direction: PcapngWriter.Direction) -> PcapngWriter.Packet {
        PcapngWriter.Packet(
            nanoseconds: 1_700_000_000_123_456_789, originalLength: 1500, direction: direction,
            number: 0x0102_0304_0506_0708, queue: 3, xdpVerdict: 4, comment: "web dsr web-1")
    }

    @Test func `a frame is the block that the draft draws, byte for byte`() {
        var writer = PcapngWriter()
        writer.write([0xaa, 0xbb, 0xcc, 0xdd, 0xee], Self.packet(.inward))
        let head: [UInt8] = [
            6, 0, 0, 0, 120, 0, 0, 0, 0, 0, 0, 0, 0x65, 0x9c, 0x97, 0x17, 0x15, 0xcd, 0x38, 0x59,
            5, 0, 0, 0, 0xdc, 5, 0, 0,
        ]
        let frame: [UInt8] = [0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0, 0, 0]
        let comment: [UInt8] = [1, 0, 13, 0] + Array("web dsr web-1".utf8) + [0, 0, 0]
        let options: [UInt8] =
            [2, 0, 4, 0, 1, 0, 0, 0] + [5, 0, 8, 0, 8, 7, 6, 5, 4, 3, 2, 1]
            + [6, 0, 4, 0, 3, 0, 0, 0] + [7, 0, 9, 0, 2, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
            + [0, 0, 0, 0]
        let made = writer.take()
        let time = UInt64(1_700_000_000_123_456_789)
        let expected = head + frame + comment + options + [UInt8(made.count & 255), 0, 0, 0]
        // The time stands in two words, the upper half first.
        #expect(Self.word(made, 12) == UInt32(time >> 32))
        #expect(Self.word(made, 16) == UInt32(truncatingIfNeeded: time))
        #expect(Self.word(made, 4) == UInt32(made.count))
        #expect(Array(made[20...]) == Array(expected[20...]))
        #expect(made.count == expected.count && made.count % 4 == 0)
        #expect(writer.take().isEmpty)
    }

    private static func word(_ bytes: [UInt8], _ place: Int) -> UInt32 {
        (0..<4).reduce(0) { $0 | UInt32(bytes[place + $1]) << UInt32(8 * $1) }
    }

    @Test func `what it writes can be read again, with its times`() throws {
        let path = NSTemporaryDirectory() + "xdplb-pcapng-\(UUID().uuidString).pcapng"
        defer { try? FileManager.default.removeItem(atPath: path) }
        var writer = Self.writer()
        let frames = (0..<9).map { [UInt8](repeating: UInt8($0), count: $0) }
        for frame in frames { writer.write(frame, Self.packet(.outward)) }
        writer.write(.init(start: 1, end: 2, received: 3, lost: 4, delivered: 5))
        try Data(writer.take()).write(to: URL(fileURLWithPath: path))
        var reader = try CaptureFileReader(path: path)
        for frame in frames {
            let read = try #require(try reader.next())
            #expect(read.bytes == frame && !read.isWhole)
            #expect(read.nanoseconds == 1_700_000_000_123_456_789)
        }
        #expect(try reader.next() == nil)
    }
}
