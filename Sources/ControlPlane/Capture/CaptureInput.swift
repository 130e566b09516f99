// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// The bytes of a capture file in order, with a large buffer between the file and the reader.
struct CaptureInput: ~Copyable {
    let path: String
    /// Where the next byte stands in the file.
    private(set) var offset: UInt64 = 0
    /// Whether numbers in the file have their most significant byte first.
    var isBigEndian = false

    private let descriptor: Int32
    private var buffer = [UInt8](repeating: 0, count: 2 * CaptureFormat.longestFrame)
    /// The part of the buffer that was read and not yet consumed.
    private var unread = 0..<0

    init(path: String) throws(CaptureFileError) {
        descriptor = open(path, O_RDONLY | O_CLOEXEC)
        self.path = path
        if descriptor < 0 {
            throw CaptureFileError(
                path: path, cannot: "open it", errno,
                remedy: "name a capture file that can be read")
        }
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// Reads until `count` bytes are there, or the file has ended.
    ///
    /// - Parameter count: At most ``CaptureFormat/longestFrame``.
    /// - Returns: How many of them are there.
    /// - Throws: When the file cannot be read.
    mutating func available(_ count: Int) throws(CaptureFileError) -> Int {
        if unread.count < count, buffer.count - unread.lowerBound < count { moveToFront() }
        while unread.count < count {
            let free = unread.upperBound..<buffer.count
            let result = buffer.withUnsafeMutableBytes { bytes in
                unsafe read(
                    descriptor, bytes.baseAddress?.advanced(by: free.lowerBound), free.count)
            }
            if result < 0, errno == EINTR { continue }
            if result < 0 {
                throw CaptureFileError(
                    path: path, cannot: "read it from byte \(offset) on", errno,
                    remedy: "check the file and the disk it is on")
            }
            if result == 0 { break }
            unread = unread.lowerBound..<unread.upperBound + result
        }
        return min(count, unread.count)
    }

    /// Like ``available(_:)``, when fewer bytes than `count` mean that the file was cut.
    mutating func require(_ count: Int, of what: String) throws(CaptureFileError) {
        let found = try available(count)
        if found < count { throw cut(what, found, of: count) }
    }

    func cut(_ what: String, _ found: Int, of count: Int) -> CaptureFileError {
        failure(
            "the file ends within \(what): \(count) bytes were expected, \(found) are there",
            remedy: "capture or copy it again; what stands before that byte is usable")
    }

    /// Error about what begins at the next byte.
    func failure(_ problem: String, remedy: String) -> CaptureFileError {
        CaptureFileError(path: path, offset: offset, problem, remedy: remedy)
    }

    /// The number that begins `position` bytes after the next one.
    ///
    /// - Precondition: ``available(_:)`` has read so far.
    func number<T: FixedWidthInteger>(at position: Int, as type: T.Type = T.self) -> T {
        var value: T = 0
        for step in 0..<T.bitWidth / 8 {
            let index = isBigEndian ? step : T.bitWidth / 8 - 1 - step
            value = value << 8 | T(truncatingIfNeeded: buffer[at(position + index)])
        }
        return value
    }

    /// The bytes of a range that begins after the next one.
    ///
    /// - Precondition: ``available(_:)`` has read so far.
    func bytes(_ range: Range<Int>) -> [UInt8] {
        Array(buffer[at(range.lowerBound)..<at(range.upperBound)])
    }

    /// Goes on after `count` bytes that were read.
    mutating func consume(_ count: Int) {
        unread = at(count)..<unread.upperBound
        offset += UInt64(count)
    }

    /// Goes on after `count` bytes, of which not all need to be read yet.
    ///
    /// - Parameters:
    ///   - count: Any number.
    ///   - what: What is skipped, for the error of a file that ends before.
    /// - Throws: When the file cannot be read, or ends before.
    mutating func skip(_ count: UInt64, of what: String) throws(CaptureFileError) {
        var left = count
        while left > 0 {
            let step = Int(min(left, UInt64(CaptureFormat.longestFrame)))
            try require(step, of: what)
            consume(step)
            left -= UInt64(step)
        }
    }

    private func at(_ position: Int) -> Int {
        precondition(position >= 0 && position <= unread.count, "beyond what was read")
        return unread.lowerBound + position
    }

    private mutating func moveToFront() {
        let count = unread.count
        for index in 0..<count { buffer[index] = buffer[unread.lowerBound + index] }
        unread = 0..<count
    }
}
