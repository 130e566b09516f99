// SPDX-License-Identifier: Apache-2.0

/// Reads the Ethernet frames of a capture file, one at a time.
///
/// Pcap with micro- and nanoseconds and pcapng, in both byte orders. A file may be of any size and
/// content: what is held is bounded, and the first record that contradicts itself or the file's end
/// is an error, after all frames before it. A frame check sequence is left in place.
public struct CaptureFileReader: ~Copyable {
    private enum Format {
        case pcap(PcapFormat)
        case pcapng(PcapngSection)
        case failed(CaptureFileError)
    }

    private var input: CaptureInput
    private var format: Format

    /// Opens a file and reads its header.
    ///
    /// - Parameter path: Also of a pipe: it is read from its beginning to its end, once.
    /// - Throws: ``CaptureFileError`` when it is no capture of Ethernet frames.
    public init(path: String) throws(CaptureFileError) {
        var input = try CaptureInput(path: path)
        guard try input.available(4) == 4 else {
            throw input.failure(
                "this is not a capture file: it has fewer than four bytes", remedy: Self.remedy)
        }
        let magic: UInt32 = input.number(at: 0)
        if magic == PcapngSection.headerType {
            format = .pcapng(try PcapngSection(&input))
        } else if let pcap = try PcapFormat(magic: magic, &input) {
            format = .pcap(pcap)
        } else {
            throw input.failure(
                "this is not a pcap or pcapng file: it begins with 0x\(String(magic, radix: 16))",
                remedy: Self.remedy)
        }
        self.input = input
    }

    private static let remedy = "see 'file PATH', unpack it or convert it with 'editcap -F pcap'"

    /// The next frame; `nil` at the end.
    ///
    /// - Throws: ``CaptureFileError`` when the rest cannot be read, and again when asked again.
    public mutating func next() throws(CaptureFileError) -> CapturedFrame? {
        do throws(CaptureFileError) {
            switch format {
            case .pcap(let pcap): return try pcap.next(&input)
            case .pcapng(var section):
                defer { format = .pcapng(section) }
                return try section.next(&input)
            case .failed(let error): throw error
            }
        } catch {
            format = .failed(error)
            throw error
        }
    }
}

/// What the header of a pcap file says.
struct PcapFormat {
    private static let headerByteCount = 24
    private static let recordHeaderByteCount = 16
    /// Bits of the link type; above them is the length of the frame check sequence.
    private static let linkTypeMask: UInt32 = 0x03ff_ffff

    private let nanosecondsPerUnit: UInt64

    /// Reads the header; `nil` when the magic number is none of pcap's.
    init?(magic: UInt32, _ input: inout CaptureInput) throws(CaptureFileError) {
        switch magic {
        case 0xa1b2_c3d4, 0xd4c3_b2a1: nanosecondsPerUnit = 1000
        case 0xa1b2_3c4d, 0x4d3c_b2a1: nanosecondsPerUnit = 1
        default: return nil
        }
        input.isBigEndian = magic & 0xff == 0xa1
        try input.require(Self.headerByteCount, of: "the file's header")
        let version: UInt16 = input.number(at: 4)
        guard version == 2 else {
            throw input.failure(
                "pcap version \(version) is unknown, 2 was expected",
                remedy: "convert it with 'editcap -F pcap'")
        }
        let linkType: UInt32 = input.number(at: 20) & Self.linkTypeMask
        guard linkType == CaptureFormat.ethernet else { throw input.notEthernet(linkType) }
        input.consume(Self.headerByteCount)
    }

    func next(_ input: inout CaptureInput) throws(CaptureFileError) -> CapturedFrame? {
        guard try input.available(1) == 1 else { return nil }
        try input.require(Self.recordHeaderByteCount, of: "a record's header")
        let seconds: UInt32 = input.number(at: 0)
        let units: UInt32 = input.number(at: 4)
        let captured: UInt32 = input.number(at: 8)
        let original: UInt32 = input.number(at: 12)
        let length = try input.frameLength(captured)
        let end = Self.recordHeaderByteCount + length
        try input.require(end, of: "a record")
        let frame = CapturedFrame(
            nanoseconds: UInt64(seconds) * 1_000_000_000 + UInt64(units) * nanosecondsPerUnit,
            bytes: input.bytes(Self.recordHeaderByteCount..<end), isWhole: captured == original)
        input.consume(end)
        return frame
    }
}

extension CaptureInput {
    func notEthernet(_ linkType: UInt32) -> CaptureFileError {
        failure(
            "the link type is \(linkType), 1 (Ethernet) was expected",
            remedy: "capture on an Ethernet interface, not on 'any'")
    }

    /// A frame's length, when it can be one.
    func frameLength(_ captured: UInt32) throws(CaptureFileError) -> Int {
        guard captured <= CaptureFormat.longestFrame else {
            throw failure(
                """
                a frame of \(captured) bytes is claimed, \(CaptureFormat.longestFrame) are the most \
                there can be
                """, remedy: "the file is damaged; capture or copy it again")
        }
        return Int(captured)
    }
}
