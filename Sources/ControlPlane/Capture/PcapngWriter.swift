// SPDX-License-Identifier: Apache-2.0

/// Makes the blocks of a pcapng file (draft-ietf-opsawg-pcapng) in memory: one section, one
/// interface, least significant byte first, times in nanoseconds.
struct PcapngWriter {
    /// Blocks that were made and not yet taken.
    private(set) var bytes: [UInt8] = []

    private enum BlockType {
        static let section: UInt32 = 0x0a0d_0d0a
        static let interface: UInt32 = 1
        static let statistics: UInt32 = 5
        static let enhancedPacket: UInt32 = 6
    }

    private enum Option {
        static let end: UInt16 = 0
        static let comment: UInt16 = 1
        static let sectionSystem: UInt16 = 3
        static let sectionApplication: UInt16 = 4
        static let interfaceName: UInt16 = 2
        static let interfaceDescription: UInt16 = 3
        static let interfaceResolution: UInt16 = 9
        static let packetFlags: UInt16 = 2
        static let packetNumber: UInt16 = 5
        static let packetQueue: UInt16 = 6
        static let packetVerdict: UInt16 = 7
        static let statisticsStart: UInt16 = 2
        static let statisticsEnd: UInt16 = 3
        static let statisticsReceived: UInt16 = 4
        static let statisticsDropped: UInt16 = 5
        static let statisticsDelivered: UInt16 = 8
    }

    /// Which way a frame goes: the lowest bits of a packet's flags.
    enum Direction: UInt32 {
        case inward = 1
        case outward = 2
    }

    /// What stands beside a frame.
    struct Packet {
        /// Since 1970.
        var nanoseconds: UInt64
        /// Bytes of the whole frame.
        var originalLength: UInt32
        var direction: Direction
        /// Joins the copies of one packet.
        var number: UInt64
        /// Queue of the interface; `nil` when it is not known.
        var queue: UInt32?
        /// What the XDP program returned; `nil` when it has not seen the frame.
        var xdpVerdict: UInt64?
        var comment: String
    }

    /// Sums of a capture so far.
    struct Statistics: Equatable {
        /// Since 1970, in nanoseconds.
        var start: UInt64
        var end: UInt64
        /// Frames that matched, whether captured or lost.
        var received: UInt64
        /// Frames of these that were lost to a slow reader.
        var lost: UInt64
        /// Copies that are in the file.
        var delivered: UInt64
    }

    /// Takes the blocks that were made.
    mutating func take() -> [UInt8] {
        defer { bytes.removeAll(keepingCapacity: true) }
        return bytes
    }

    /// Begins the section.
    mutating func writeSection(application: String, system: String, comment: String) {
        write(BlockType.section) { block in
            block.append(0x1a2b_3c4d as UInt32)
            block.append(1 as UInt16)
            block.append(0 as UInt16)
            block.append(UInt64.max)
            block.option(Option.comment, comment)
            block.option(Option.sectionSystem, system)
            block.option(Option.sectionApplication, application)
            block.endOptions()
        }
    }

    /// Describes the interface, number 0 of the section.
    mutating func writeInterface(name: String, description: String, snapLength: Int) {
        write(BlockType.interface) { block in
            block.append(UInt16(CaptureFormat.ethernet))
            block.append(0 as UInt16)
            block.append(UInt32(clamping: snapLength))
            block.option(Option.interfaceName, name)
            block.option(Option.interfaceDescription, description)
            block.option(Option.interfaceResolution, [9])
            block.endOptions()
        }
    }

    /// Adds a frame.
    mutating func write(_ frame: [UInt8], _ packet: Packet) {
        write(BlockType.enhancedPacket) { block in
            block.append(0 as UInt32)
            block.appendTime(packet.nanoseconds)
            block.append(UInt32(frame.count))
            block.append(packet.originalLength)
            block.appendPadded(frame)
            block.option(Option.comment, packet.comment)
            block.option(Option.packetFlags, number: packet.direction.rawValue)
            block.option(Option.packetNumber, number: packet.number)
            if let queue = packet.queue { block.option(Option.packetQueue, number: queue) }
            if let verdict = packet.xdpVerdict {
                // A byte for the kind of verdict, 2 for one of an XDP program, and the value.
                block.optionHead(Option.packetVerdict, 9)
                block.bytes.append(2)
                block.append(verdict)
                block.pad()
            }
            block.endOptions()
        }
    }

    /// Says how many frames there were so far; the last one counts.
    mutating func write(_ statistics: Statistics) {
        write(BlockType.statistics) { block in
            block.append(0 as UInt32)
            block.appendTime(statistics.end)
            block.optionHead(Option.statisticsStart, 8)
            block.appendTime(statistics.start)
            block.optionHead(Option.statisticsEnd, 8)
            block.appendTime(statistics.end)
            block.option(Option.statisticsReceived, number: statistics.received)
            block.option(Option.statisticsDropped, number: statistics.lost)
            block.option(Option.statisticsDelivered, number: statistics.delivered)
            block.endOptions()
        }
    }

    /// A block around a body: its length stands before and behind it.
    private mutating func write(_ type: UInt32, _ body: (inout PcapngBlock) -> Void) {
        var block = PcapngBlock(bytes: bytes)
        bytes = []
        let start = block.bytes.count
        block.append(type)
        block.append(0 as UInt32)
        body(&block)
        let length = UInt32(block.bytes.count - start + 4)
        block.append(length)
        for index in 0..<4 {
            block.bytes[start + 4 + index] = UInt8(truncatingIfNeeded: length >> (8 * index))
        }
        bytes = block.bytes
    }
}

/// The block that is being made, behind those before it.
private struct PcapngBlock {
    var bytes: [UInt8]

    mutating func append(_ number: some FixedWidthInteger) {
        for shift in stride(from: 0, to: number.bitWidth, by: 8) {
            bytes.append(UInt8(truncatingIfNeeded: number >> shift))
        }
    }

    /// A time as pcapng has it: the upper half comes first.
    mutating func appendTime(_ nanoseconds: UInt64) {
        append(UInt32(truncatingIfNeeded: nanoseconds >> 32))
        append(UInt32(truncatingIfNeeded: nanoseconds))
    }

    mutating func appendPadded(_ more: [UInt8]) {
        bytes += more
        pad()
    }

    /// To a multiple of four, where every block begins.
    mutating func pad() {
        while bytes.count % 4 != 0 { bytes.append(0) }
    }

    mutating func optionHead(_ code: UInt16, _ count: Int) {
        append(code)
        append(UInt16(count))
    }

    mutating func option(_ code: UInt16, _ value: [UInt8]) {
        optionHead(code, value.count)
        appendPadded(value)
    }

    mutating func option(_ code: UInt16, _ text: String) {
        if !text.isEmpty { option(code, Array(text.utf8.prefix(4096))) }
    }

    mutating func option(_ code: UInt16, number: some FixedWidthInteger) {
        optionHead(code, number.bitWidth / 8)
        append(number)
    }

    mutating func endOptions() {
        append(0 as UInt16)
        append(0 as UInt16)
    }
}
