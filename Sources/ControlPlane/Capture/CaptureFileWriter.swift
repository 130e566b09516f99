// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// Writes Ethernet frames to a capture file: pcap with nanoseconds.
///
/// Frames are gathered and written in large pieces; ``close()`` writes the rest and says whether all
/// of it arrived. Without it, what is left is written as far as possible.
public struct CaptureFileWriter: ~Copyable {
    private static let pieceByteCount = 1 << 20

    private let path: String
    private var descriptor: Int32
    private var pending: [UInt8] = []

    /// Makes a file, or empties the one that is there.
    ///
    /// - Throws: ``CaptureFileError`` when it cannot be made.
    public init(path: String) throws(CaptureFileError) {
        descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        self.path = path
        if descriptor < 0 {
            throw CaptureFileError(
                path: path, cannot: "make it", errno, remedy: "name a file that can be written")
        }
        pending.reserveCapacity(Self.pieceByteCount + CaptureFormat.longestFrame)
        append(0xa1b2_3c4d)
        append(2 | 4 << 16)
        append(0)
        append(0)
        append(UInt32(CaptureFormat.longestFrame))
        append(CaptureFormat.ethernet)
    }

    deinit {
        guard descriptor >= 0 else { return }
        _ = Self.write(pending, to: descriptor)
        Glibc.close(descriptor)
    }

    /// Writes a frame.
    ///
    /// - Parameters:
    ///   - frame: All of its bytes, at most 256 KiB.
    ///   - nanoseconds: When it was sent, since 1970 and before 2106.
    /// - Throws: ``CaptureFileError`` when the format cannot hold it, or the disk is full.
    public mutating func write(
        _ frame: [UInt8], nanoseconds: UInt64
    ) throws(CaptureFileError) {
        try begin(frame.count, nanoseconds)
        pending += frame
        try flushWhenLarge()
    }

    /// Writes what is left and closes the file; nothing can be written any more.
    ///
    /// - Throws: ``CaptureFileError`` when not all of it could be written.
    public mutating func close() throws(CaptureFileError) {
        guard descriptor >= 0 else { return }
        let closing = descriptor
        defer { descriptor = -1 }
        do throws(CaptureFileError) {
            try flush()
        } catch {
            Glibc.close(closing)
            throw error
        }
        if Glibc.close(closing) != 0 { throw failure(errno) }
    }

    private mutating func begin(
        _ count: Int, _ nanoseconds: UInt64
    ) throws(CaptureFileError) {
        precondition(descriptor >= 0, "the file is closed")
        guard count <= CaptureFormat.longestFrame,
            let seconds = UInt32(exactly: nanoseconds / 1_000_000_000)
        else {
            throw CaptureFileError(
                path: path,
                "a frame of \(count) bytes and \(nanoseconds) ns cannot be written to a pcap file",
                remedy: "frames have at most \(CaptureFormat.longestFrame) bytes, times end in 2106"
            )
        }
        append(seconds)
        append(UInt32(nanoseconds % 1_000_000_000))
        append(UInt32(count))
        append(UInt32(count))
    }

    /// Appends a number, least significant byte first.
    private mutating func append(_ number: UInt32) {
        for shift in [0, 8, 16, 24] as [UInt32] {
            pending.append(UInt8(truncatingIfNeeded: number >> shift))
        }
    }

    private mutating func flushWhenLarge() throws(CaptureFileError) {
        if pending.count >= Self.pieceByteCount { try flush() }
    }

    private mutating func flush() throws(CaptureFileError) {
        let code = Self.write(pending, to: descriptor)
        pending.removeAll(keepingCapacity: true)
        if code != 0 { throw failure(code) }
    }

    private func failure(_ code: Int32) -> CaptureFileError {
        CaptureFileError(
            path: path, cannot: "write to it", code, remedy: "make room or name another file")
    }

    /// Writes all of it; 0, or the system's error number.
    private static func write(_ bytes: [UInt8], to descriptor: Int32) -> Int32 {
        unsafe bytes.withUnsafeBytes { bytes in
            var rest = bytes[...]
            while !rest.isEmpty {
                let piece = unsafe UnsafeRawBufferPointer(rebasing: rest)
                let result = unsafe Glibc.write(descriptor, piece.baseAddress, piece.count)
                if result < 0, errno == EINTR { continue }
                if result <= 0 { return result == 0 ? EIO : errno }
                unsafe rest = rest.dropFirst(result)
            }
            return 0
        }
    }
}
