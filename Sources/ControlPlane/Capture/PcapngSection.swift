// SPDX-License-Identifier: Apache-2.0

/// The state of reading a pcapng file: the section that is read, and its interfaces.
///
/// After draft-ietf-opsawg-pcapng. Blocks that are not about frames are skipped by their length.
struct PcapngSection {
    /// Type of a section header block, the same in both byte orders.
    static let headerType: UInt32 = 0x0a0d_0d0a

    private static let interfaceType: UInt32 = 1
    private static let olderPacketType: UInt32 = 2
    private static let simplePacketType: UInt32 = 3
    private static let enhancedPacketType: UInt32 = 6
    /// Type and length before a block's body, and the length again behind it.
    private static let headByteCount = 8
    private static let frameByteCount = 12
    /// Interfaces of a section: the older packet block cannot name more.
    private static let mostInterfaces = 65_536

    private var interfaces: [PcapngInterface] = []
    /// When the frame before was captured: a simple packet block has no time of its own.
    private var nanoseconds: UInt64 = 0

    /// Reads the first section header.
    init(_ input: inout CaptureInput) throws(CaptureFileError) {
        try begin(&input)
    }

    mutating func next(_ input: inout CaptureInput) throws(CaptureFileError) -> CapturedFrame? {
        while try input.available(1) == 1 {
            try input.require(Self.headByteCount, of: "a block's header")
            let type: UInt32 = input.number(at: 0)
            switch type {
            case Self.headerType: try begin(&input)
            case Self.interfaceType: try readInterface(&input)
            case Self.enhancedPacketType: return try readFrame(&input, headerByteCount: 20)
            case Self.olderPacketType:
                return try readFrame(&input, headerByteCount: 20, isOlder: true)
            case Self.simplePacketType: return try readSimpleFrame(&input)
            default: try skip(&input)
            }
        }
        return nil
    }

    // MARK: Blocks

    /// A section's header: the byte order may be another one from here on.
    private mutating func begin(_ input: inout CaptureInput) throws(CaptureFileError) {
        try input.require(16, of: "a section's header")
        input.isBigEndian = false
        let magic: UInt32 = input.number(at: 8)
        switch magic {
        case 0x1a2b_3c4d: break
        case 0x4d3c_2b1a: input.isBigEndian = true
        default:
            throw input.failure(
                "the byte-order magic of a section is 0x\(String(magic, radix: 16))",
                remedy: Self.damaged)
        }
        let length = try blockLength(input, atLeast: 28)
        let version: UInt16 = input.number(at: 12)
        guard version == 1 else {
            throw input.failure(
                "pcapng version \(version) is unknown, 1 was expected",
                remedy: "convert it with 'editcap -F pcap'")
        }
        try leave(&input, length, after: 16)
        interfaces.removeAll(keepingCapacity: true)
    }

    private mutating func readInterface(
        _ input: inout CaptureInput
    ) throws(CaptureFileError) {
        let length = try blockLength(input, atLeast: 20)
        guard length <= CaptureFormat.longestFrame else {
            throw input.failure(
                "an interface's description of \(length) bytes is claimed", remedy: Self.damaged)
        }
        guard interfaces.count < Self.mostInterfaces else {
            throw input.failure(
                "a section has more than \(Self.mostInterfaces) interfaces", remedy: Self.damaged)
        }
        try input.require(length, of: "an interface's description")
        interfaces.append(PcapngInterface(input, end: length - 4))
        try leave(&input, length, after: 0)
    }

    /// A frame of an enhanced or older packet block, which differ in the interface's number.
    private mutating func readFrame(
        _ input: inout CaptureInput, headerByteCount: Int, isOlder: Bool = false
    ) throws(CaptureFileError) -> CapturedFrame {
        let start = Self.headByteCount + headerByteCount
        let length = try blockLength(input, atLeast: start + 4)
        try input.require(start, of: "a packet block's header")
        let number =
            isOlder
            ? Int(input.number(at: 8, as: UInt16.self)) : Int(input.number(at: 8, as: UInt32.self))
        let interface = try interface(number, input)
        let ticks =
            UInt64(input.number(at: 12, as: UInt32.self)) << 32
            | UInt64(input.number(at: 16, as: UInt32.self))
        guard let time = interface.nanoseconds(ticks) else {
            throw input.failure(
                "a frame's time stamp is before 1970 or after 2262",
                remedy: "set it right with 'editcap -t'")
        }
        let captured: UInt32 = input.number(at: 20)
        let original: UInt32 = input.number(at: 24)
        nanoseconds = time
        return try takeFrame(&input, start, length, captured, original)
    }

    private func readSimpleFrame(
        _ input: inout CaptureInput
    ) throws(CaptureFileError) -> CapturedFrame {
        let start = Self.headByteCount + 4
        let length = try blockLength(input, atLeast: start + 4)
        try input.require(start, of: "a packet block's header")
        let snapLength = try interface(0, input).snapLength
        let original: UInt32 = input.number(at: 8)
        let captured = snapLength == 0 ? original : min(original, snapLength)
        return try takeFrame(&input, start, length, captured, original)
    }

    private func takeFrame(
        _ input: inout CaptureInput, _ start: Int, _ length: Int, _ captured: UInt32,
        _ original: UInt32
    ) throws(CaptureFileError) -> CapturedFrame {
        let count = try input.frameLength(captured)
        guard count <= length - start - 4 else {
            throw input.failure(
                "a frame of \(count) bytes is claimed in a block of \(length)",
                remedy: Self.damaged)
        }
        try input.require(start + count, of: "a packet block")
        let frame = CapturedFrame(
            nanoseconds: nanoseconds, bytes: input.bytes(start..<start + count),
            isWhole: captured == original)
        try leave(&input, length, after: start + count)
        return frame
    }

    private func skip(_ input: inout CaptureInput) throws(CaptureFileError) {
        try leave(&input, blockLength(input, atLeast: Self.frameByteCount), after: 0)
    }

    // MARK: Parts

    private static let damaged = "the file is damaged; capture or copy it again"

    private func blockLength(
        _ input: borrowing CaptureInput, atLeast least: Int
    ) throws(CaptureFileError) -> Int {
        let length = Int(input.number(at: 4, as: UInt32.self))
        guard length >= least, length % 4 == 0 else {
            throw input.failure(
                "a block's length is \(length), a multiple of 4 from \(least) on was expected",
                remedy: Self.damaged)
        }
        return length
    }

    /// Goes on behind a block, whose length stands again at its end.
    private func leave(
        _ input: inout CaptureInput, _ length: Int, after read: Int
    ) throws(CaptureFileError) {
        input.consume(read)
        try input.skip(UInt64(length - 4 - read), of: "a block")
        try input.require(4, of: "a block")
        let again: UInt32 = input.number(at: 0)
        guard again == length else {
            throw input.failure(
                "a block's length is \(again) here and \(length) at its start",
                remedy: Self.damaged)
        }
        input.consume(4)
    }

    private func interface(
        _ number: Int, _ input: borrowing CaptureInput
    ) throws(CaptureFileError) -> PcapngInterface {
        guard interfaces.indices.contains(number) else {
            throw input.failure(
                "a frame is of interface \(number), but \(interfaces.count) are described",
                remedy: Self.damaged)
        }
        let interface = interfaces[number]
        guard interface.linkType == CaptureFormat.ethernet else {
            throw input.notEthernet(interface.linkType)
        }
        return interface
    }
}

/// What an interface description block says.
struct PcapngInterface {
    let linkType: UInt32
    /// Most captured bytes; 0 means all.
    let snapLength: UInt32
    /// The exponent of a time stamp's unit, `10^-n` seconds, or `2^-n` with the top bit set.
    private var resolution: UInt8 = 6
    /// Seconds to be added to time stamps.
    private var offset: Int64 = 0

    private static let resolutionOption: UInt16 = 9
    private static let offsetOption: UInt16 = 14

    /// Reads a block that is in the buffer as a whole; its options end at `end`.
    init(_ input: borrowing CaptureInput, end: Int) {
        linkType = UInt32(input.number(at: 8, as: UInt16.self))
        snapLength = input.number(at: 12)
        var position = 16
        // An option that contradicts the block's end is none, and ends the options.
        while end - position >= 4 {
            let code: UInt16 = input.number(at: position)
            let length = Int(input.number(at: position + 2, as: UInt16.self))
            position += 4
            guard code != 0, length <= end - position else { break }
            if code == Self.resolutionOption, length == 1 {
                resolution = input.number(at: position)
            } else if code == Self.offsetOption, length == 8 {
                offset = input.number(at: position)
            }
            position += (length + 3) & ~3
        }
    }

    /// A time stamp in nanoseconds since 1970; `nil` before that or after 2262.
    func nanoseconds(_ ticks: UInt64) -> UInt64? {
        let scaled = UInt128(ticks) * 1_000_000_000
        let exponent = Int(resolution & 0x7f)
        let time =
            resolution & 0x80 != 0
            ? scaled >> exponent
                // 10^29 is more than any dividend.
            : (0..<min(exponent, 29)).reduce(scaled) { value, _ in value / 10 }
        let sum = Int128(time) + Int128(offset) * 1_000_000_000
        return Int64(exactly: sum).flatMap { UInt64(exactly: $0) }
    }
}
