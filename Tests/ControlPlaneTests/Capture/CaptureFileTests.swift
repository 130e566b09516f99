// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import ControlPlane

/// Bytes of capture files, put together by hand after the formats' documents.
private struct FileBytes {
    var bytes: [UInt8] = []
    let isBigEndian: Bool

    init(isBigEndian: Bool = false) { self.isBigEndian = isBigEndian }

    mutating func add<Number: FixedWidthInteger>(_ numbers: Number...) {
        for number in numbers {
            let ordered = isBigEndian ? number.bigEndian : number.littleEndian
            unsafe withUnsafeBytes(of: ordered) { unsafe bytes.append(contentsOf: $0) }
        }
    }

    /// A pcapng block of a type and a body, whose length stands at both ends.
    mutating func addBlock(_ type: UInt32, _ body: (inout FileBytes) -> Void) {
        var inner = FileBytes(isBigEndian: isBigEndian)
        body(&inner)
        while inner.bytes.count % 4 != 0 { inner.bytes.append(0) }
        let length = UInt32(inner.bytes.count + 12)
        add(type, length)
        bytes += inner.bytes
        add(length)
    }

    mutating func addSection() {
        addBlock(0x0a0d_0d0a) {
            $0.add(0x1a2b_3c4d as UInt32, UInt32(1)); $0.add(UInt64.max)
        }
        // The version is two numbers of 16 bits, the major one first.
        let start = bytes.count - 16
        let version: [UInt8] = isBigEndian ? [0, 1, 0, 0] : [1, 0, 0, 0]
        bytes.replaceSubrange(start..<start + 4, with: version)
    }

    /// An Ethernet interface, or one of another link type, with a time unit of 10^-`digits`.
    mutating func addInterface(digits: UInt8?, linkType: UInt16 = 1) {
        addBlock(1) { block in
            block.add(linkType, 0)
            block.add(UInt32(0))
            guard let digits else { return }
            block.add(UInt16(9), 1)
            block.bytes += [digits, 0, 0, 0]
            block.add(UInt32(0))
        }
    }

    mutating func addFrame(_ frame: [UInt8], interface: UInt32, ticks: UInt64) {
        addBlock(6) { block in
            block.add(
                interface, UInt32(ticks >> 32), UInt32(truncatingIfNeeded: ticks),
                UInt32(frame.count), UInt32(frame.count))
            block.bytes += frame
        }
    }
}

/// Reading and writing of captures.
@Suite struct CaptureFileTests {
    private static let first: [UInt8] = (0..<60).map { UInt8($0) }
    private static let second: [UInt8] = (0..<63).map { UInt8(255 - $0) }
    private static let seconds: UInt32 = 1_700_000_000

    /// Writes a file for the time of `body`.
    private func withFile<T>(_ bytes: [UInt8], _ body: (String) throws -> T) throws -> T {
        let path = NSTemporaryDirectory() + "xdplb-\(UUID().uuidString).pcap"
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        defer { try? FileManager.default.removeItem(atPath: path) }
        return try body(path)
    }

    /// The frames before the end, and the error that ended them.
    private func read(_ bytes: [UInt8]) throws -> (frames: [CapturedFrame], error: String?) {
        try withFile(bytes) { path in
            var frames: [CapturedFrame] = []
            do {
                var reader = try CaptureFileReader(path: path)
                while let frame = try reader.next() { frames.append(frame) }
            } catch {
                return (frames, String(describing: error))
            }
            return (frames, nil)
        }
    }

    private static func pcap(isBigEndian: Bool, isNano: Bool, linkType: UInt32 = 1) -> FileBytes {
        var file = FileBytes(isBigEndian: isBigEndian)
        file.add((isNano ? 0xa1b2_3c4d : 0xa1b2_c3d4) as UInt32)
        file.add(UInt16(2), 4)
        file.add(UInt32(0), 0, 65535, linkType)
        for (index, frame) in [first, second].enumerated() {
            file.add(seconds, UInt32(7 + index), UInt32(frame.count), UInt32(frame.count + index))
            file.bytes += frame
        }
        return file
    }

    @Test(arguments: [false, true], [false, true])
    func `pcap is read in both byte orders and both units`(isBigEndian: Bool, isNano: Bool) throws {
        let file = Self.pcap(isBigEndian: isBigEndian, isNano: isNano)
        let (frames, error) = try read(file.bytes)
        #expect(error == nil)
        #expect(frames.map(\.bytes) == [Self.first, Self.second])
        let unit: UInt64 = isNano ? 1 : 1000
        let start = UInt64(Self.seconds) * 1_000_000_000
        #expect(frames.map(\.nanoseconds) == [start + 7 * unit, start + 8 * unit])
        // The second one was cut by whoever captured it.
        #expect(frames.map(\.isWhole) == [true, false])
    }

    @Test(arguments: [false, true])
    func `pcapng is read with interfaces of different units, and other blocks are passed over`(
        isBigEndian: Bool
    ) throws {
        var file = FileBytes(isBigEndian: isBigEndian)
        file.addSection()
        file.addInterface(digits: nil)
        file.addBlock(5) { $0.add(UInt32(1), 2, 3) }
        file.addInterface(digits: 9)
        file.addFrame(Self.first, interface: 0, ticks: 5_000_001)
        file.addBlock(0x8000_0001) { $0.bytes = [UInt8](repeating: 0xff, count: 1000) }
        file.addFrame(Self.second, interface: 1, ticks: 5_000_000_009)
        file.addBlock(3) {
            $0.add(UInt32(Self.first.count))
            $0.bytes += Self.first
        }
        let (frames, error) = try read(file.bytes)
        #expect(error == nil)
        #expect(frames.map(\.bytes) == [Self.first, Self.second, Self.first])
        // A simple packet block has no time: it has that of the frame before.
        #expect(frames.map(\.nanoseconds) == [5_000_001_000, 5_000_000_009, 5_000_000_009])
    }

    @Test func `a file cut anywhere gives its whole frames, and then says where it ends`() throws {
        for bytes in [Self.pcap(isBigEndian: false, isNano: true).bytes, Self.pcapng().bytes] {
            let whole = try read(bytes).frames.count
            #expect(whole == 2)
            for length in stride(from: 0, to: bytes.count, by: 3) {
                let (frames, error) = try read(Array(bytes[..<length]))
                #expect(frames.count < whole || error != nil)
                #expect(
                    frames.map(\.bytes) == Array([Self.first, Self.second].prefix(frames.count)))
            }
        }
    }

    private static func pcapng() -> FileBytes {
        var file = FileBytes()
        file.addSection()
        file.addInterface(digits: 6)
        file.addFrame(first, interface: 0, ticks: 1)
        file.addFrame(second, interface: 0, ticks: 2)
        return file
    }

    @Test func `what is no capture of Ethernet frames is refused with what it is`() throws {
        #expect(try read([1, 2]).error?.contains("fewer than four bytes") == true)
        let problem = try read([UInt8]("no capture".utf8)).error
        #expect(problem?.contains("not a pcap or pcapng") == true)
        let cooked = Self.pcap(isBigEndian: false, isNano: false, linkType: 113)
        #expect(try read(cooked.bytes).error?.contains("link type is 113") == true)
        var other = FileBytes()
        other.addSection()
        other.addInterface(digits: 6, linkType: 127)
        other.addFrame(Self.first, interface: 0, ticks: 1)
        #expect(try read(other.bytes).error?.contains("link type is 127") == true)
        var missing = FileBytes()
        missing.addSection()
        missing.addFrame(Self.first, interface: 3, ticks: 1)
        #expect(try read(missing.bytes).error?.contains("interface 3, but 0") == true)
    }

    @Test func `a length that cannot be is told, not believed`() throws {
        var file = Self.pcap(isBigEndian: false, isNano: false).bytes
        file.replaceSubrange(32..<36, with: [0xff, 0xff, 0xff, 0x7f])
        #expect(try read(file).error?.contains("2147483647 bytes is claimed") == true)
        var block = Self.pcapng().bytes
        let frameBlock = block.count - (32 + 64)
        block.replaceSubrange(frameBlock + 4..<frameBlock + 8, with: [3, 0, 0, 0])
        #expect(try read(block).error?.contains("a block's length is 3") == true)
    }

    @Test func `what is written is pcap with nanoseconds, and is read as it was written`() throws {
        try withFile([]) { path in
            var writer = try CaptureFileWriter(path: path)
            try writer.write(Self.first, nanoseconds: 1_700_000_000_123_456_789)
            try writer.write(Self.second, nanoseconds: 4_294_967_295_999_999_999)
            try writer.close()
            let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
            #expect(Array(bytes[..<8]) == [0x4d, 0x3c, 0xb2, 0xa1, 2, 0, 4, 0])
            #expect(bytes.count == 24 + 16 + Self.first.count + 16 + Self.second.count)
            let frames = try read(bytes).frames
            #expect(frames.map(\.bytes) == [Self.first, Self.second])
            #expect(
                frames.map(\.nanoseconds) == [
                    1_700_000_000_123_456_789, 4_294_967_295_999_999_999,
                ])
        }
    }

    @Test func `a time or a directory that cannot be is an error`() throws {
        try withFile([]) { path in
            var writer = try CaptureFileWriter(path: path)
            #expect(throws: CaptureFileError.self) {
                try writer.write(Self.first, nanoseconds: 4_294_967_296_000_000_000)
            }
        }
        #expect(throws: CaptureFileError.self) { _ = try CaptureFileWriter(path: "/no/such/file") }
        #expect(throws: CaptureFileError.self) { _ = try CaptureFileReader(path: "/no/such/file") }
    }
}
