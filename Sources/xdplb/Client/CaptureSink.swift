// SPDX-License-Identifier: Apache-2.0
import Foundation

/// Where the command writes a capture: whole blocks only, so that the file can be read whatever
/// happens to the daemon, the disk or the command.
struct CaptureSink: ~Copyable {
    private let name: String
    private let descriptor: Int32
    private let isFile: Bool
    private var pending: [UInt8] = []
    /// Bytes of whole blocks that are in the file.
    private var byteCount: Int64 = 0
    private var latestPacket: UInt64?
    /// Whether nobody reads the pipe any more, or a signal came while it was full.
    private(set) var hasNoReader = false
    /// Frames of which a copy is in the file.
    private(set) var frameCount = 0
    /// Frames that the daemon could not hand over in time.
    private(set) var lostCount: UInt64 = 0

    /// A file that is made or emptied; standard output for `-`.
    ///
    /// - Throws: ``CommandFailure`` when it cannot be.
    init(_ path: String) throws {
        isFile = path != "-"
        name = isFile ? path : "standard output"
        // It holds what clients sent: for its owner alone.
        descriptor =
            isFile ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600) : STDOUT_FILENO
        if descriptor < 0 {
            throw CommandFailure(
                .refused,
                """
                cannot write \(path): \(unsafe String(cString: strerror(errno))). Name a file that \
                can be written
                """)
        }
    }

    deinit { if isFile { Glibc.close(descriptor) } }

    /// Writes the blocks that are complete with these bytes.
    ///
    /// - Throws: ``CommandFailure`` when the disk is full; the file ends with a whole block then.
    mutating func write(_ bytes: [UInt8]) throws {
        pending += bytes
        let blocks = PcapngBlocks.whole(in: pending)
        let end = blocks.last?.range.upperBound ?? 0
        let (count, code) = writeAll(pending[..<end])
        for block in blocks where block.range.upperBound <= count { note(block) }
        let kept = blocks.last { $0.range.upperBound <= count }?.range.upperBound ?? 0
        byteCount += Int64(kept)
        pending.removeFirst(end)
        hasNoReader = !isFile && (code == EPIPE || code == EINTR)
        if code == 0 || hasNoReader { return }
        if isFile { _ = ftruncate(descriptor, off_t(byteCount)) }
        throw CommandFailure(
            .refused,
            """
            cannot write any more to \(name): \(unsafe String(cString: strerror(code))). \
            \(frameCount) frames were written and can be read; the capture has ended. Free some \
            space, or limit the capture with -c, --snaplen or a filter
            """)
    }

    /// How many bytes could be written, and the error that ended it; 0 when all were.
    private func writeAll(_ bytes: ArraySlice<UInt8>) -> (count: Int, code: Int32) {
        var written = 0
        while written < bytes.count {
            let rest = bytes.dropFirst(written)
            let result = unsafe rest.withUnsafeBytes {
                unsafe Glibc.write(descriptor, $0.baseAddress, $0.count)
            }
            if result > 0 {
                written += result
                continue
            }
            let code = errno
            let isPatient = isFile || !Interrupt.wasAsked || hasRoomSoon()
            if code != EINTR || !isPatient { return (written, code) }
        }
        return (written, 0)
    }

    /// Whether a pipe that was full takes something within a second.
    private func hasRoomSoon() -> Bool {
        var room = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        return unsafe poll(&room, 1, 1000) > 0
    }

    private mutating func note(_ block: PcapngBlocks.Block) {
        switch block.kind {
        case .packet(let number):
            if number != latestPacket { frameCount += 1 }
            latestPacket = number
        case .statistics(let lost): lostCount = lost
        case .other: break
        }
    }
}

/// The blocks of a pcapng stream as the daemon writes it: least significant byte first.
enum PcapngBlocks {
    /// A block by its place.
    struct Block {
        /// What the command wants to know of it.
        enum Kind {
            /// A copy of the frame of a number.
            case packet(UInt64?)
            /// Frames lost so far.
            case statistics(lost: UInt64)
            case other
        }

        var range: Range<Int>
        var kind: Kind
    }

    /// The blocks that are there to their end.
    static func whole(in bytes: [UInt8]) -> [Block] {
        var blocks: [Block] = []
        var start = 0
        while start + 12 <= bytes.count {
            let length = Int(number(bytes, at: start + 4, 4))
            guard length >= 12, start + length <= bytes.count else { break }
            let range = start..<start + length
            blocks.append(Block(range: range, kind: kind(bytes, range)))
            start += length
        }
        return blocks
    }

    private static func kind(_ bytes: [UInt8], _ range: Range<Int>) -> Block.Kind {
        let start = range.lowerBound
        let end = range.upperBound - 4
        // Whatever the lengths in a block say, nothing beyond it is read.
        switch number(bytes, at: start, 4) {
        case 6 where start + 28 <= end:
            let captured = Int(number(bytes, at: start + 20, 4))
            let options = start + 28 + (captured + 3) & ~3
            return .packet(options <= end ? option(5, bytes, options..<end) : nil)
        case 5 where start + 20 <= end:
            return .statistics(lost: option(5, bytes, start + 20..<end) ?? 0)
        default: return .other
        }
    }

    /// The value of an option of eight bytes.
    private static func option(_ wanted: UInt64, _ bytes: [UInt8], _ range: Range<Int>) -> UInt64? {
        var place = range.lowerBound
        while place + 4 <= range.upperBound {
            let code = number(bytes, at: place, 2)
            let length = Int(number(bytes, at: place + 2, 2))
            if code == wanted, length == 8, place + 12 <= range.upperBound {
                return number(bytes, at: place + 4, 8)
            }
            if code == 0 { return nil }
            place += 4 + (length + 3) & ~3
        }
        return nil
    }

    private static func number(_ bytes: [UInt8], at place: Int, _ count: Int) -> UInt64 {
        (0..<count).reduce(0) { $0 | UInt64(bytes[place + $1]) << UInt64(8 * $1) }
    }
}
