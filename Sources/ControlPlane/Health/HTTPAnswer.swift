// SPDX-License-Identifier: Apache-2.0

/// An answer of HTTP/1, taken in as it comes, in pieces of any size: its status, and whether a text
/// is in its body.
///
/// Every byte is looked at once. Interim answers (RFC 9110 §15.2) are skipped, a body in chunks is
/// put together (RFC 9112 §7.1), and one of a known length ends there, as a server may keep the
/// connection open though it was asked not to.
struct HTTPAnswer {
    /// What makes it no answer of HTTP/1.
    struct Fault: Error {
        let words: String
    }

    private enum Part {
        case statusLine
        case head
        /// So many bytes are left; `nil` when the end of the connection ends it.
        case body(Int?)
        case chunkSize
        case chunk(Int)
        case chunkEnd
        case nothing
    }

    /// Longest first line.
    private static let longestStatusLine = 256

    /// The final status; `nil` before its line has come.
    private(set) var status: Int?
    /// Whether the text has been found.
    private(set) var hasText = false
    private let wanted: [UInt8]
    private var part = Part.statusLine
    /// The line that has not ended yet.
    private var line: [UInt8] = []
    /// The end of what was searched: a text may begin in it.
    private var tail: [UInt8] = []
    private var isInterim = false
    private var isChunked = false
    private var bodyLength: Int?

    /// An answer of which nothing has come.
    ///
    /// - Parameter wanted: The text to be found; empty for none.
    init(lookingFor wanted: [UInt8]) { self.wanted = wanted }

    /// Whether nothing more belongs to it.
    var isOver: Bool { if case .nothing = part { true } else { false } }

    /// Takes what came next.
    mutating func take(_ bytes: ArraySlice<UInt8>) throws(Fault) {
        var rest = bytes
        while !rest.isEmpty {
            switch part {
            case .nothing: return
            case .body(let left):
                let taken = rest.prefix(left ?? rest.count)
                rest = rest.dropFirst(taken.count)
                search(taken)
                if let left { part = left > taken.count ? .body(left - taken.count) : .nothing }
            case .chunk(let left):
                let taken = rest.prefix(left)
                rest = rest.dropFirst(taken.count)
                search(taken)
                part = left > taken.count ? .chunk(left - taken.count) : .chunkEnd
            case .statusLine, .head, .chunkSize, .chunkEnd: try takeLine(&rest)
            }
        }
    }

    private mutating func search(_ bytes: ArraySlice<UInt8>) {
        guard !wanted.isEmpty, !hasText else { return }
        let text = tail + bytes
        hasText = text.firstRange(of: wanted) != nil
        tail = Array(text.suffix(wanted.count - 1))
    }

    // MARK: Lines

    private mutating func takeLine(_ rest: inout ArraySlice<UInt8>) throws(Fault) {
        let end = rest.firstIndex(of: UInt8(ascii: "\n"))
        line += rest[..<(end ?? rest.endIndex)]
        rest = end.map { rest[($0 + 1)...] } ?? []
        if case .statusLine = part {
            guard line.count < Self.longestStatusLine,
                zip(line, "HTTP/1.".utf8).allSatisfy({ $0 == $1 })
            else { throw Fault(words: "no HTTP") }
        }
        guard end != nil else { return }
        let text = String(decoding: line.last == 13 ? line.dropLast() : line[...], as: UTF8.self)
        line = []
        switch part {
        case .statusLine: try takeStatus(text)
        case .head: takeField(text)
        case .chunkSize: try takeChunkSize(text)
        // What ends a chunk is an empty line.
        case .chunkEnd: part = .chunkSize
        case .body, .chunk, .nothing: break
        }
    }

    private mutating func takeStatus(_ text: String) throws(Fault) {
        let words = text.split(separator: " ")
        guard words.count >= 2, words[0].hasPrefix("HTTP/1."), let number = Int(words[1].prefix(3))
        else { throw Fault(words: "no HTTP") }
        // 101 is no interim one: what follows is another protocol, which was not asked for.
        isInterim = (100...199).contains(number) && number != 101
        if !isInterim { status = number }
        part = wanted.isEmpty && !isInterim ? .nothing : .head
    }

    private mutating func takeField(_ text: String) {
        guard text.isEmpty else {
            let halves = text.split(
                separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            let value = halves[halves.count - 1].lowercased().filter { !$0.isWhitespace }
            switch halves[0].lowercased() {
            // The last coding says how the end is found (RFC 9112 §6.3).
            case "transfer-encoding": isChunked = value.hasSuffix("chunked")
            case "content-length": bodyLength = Int(value).flatMap { $0 >= 0 ? $0 : nil }
            default: break
            }
            return
        }
        part =
            isInterim
            ? .statusLine : isChunked ? .chunkSize : bodyLength == 0 ? .nothing : .body(bodyLength)
        if isInterim { (isChunked, bodyLength) = (false, nil) }
    }

    private mutating func takeChunkSize(_ text: String) throws(Fault) {
        let digits = text.prefix { $0.isHexDigit }
        guard let size = Int(digits, radix: 16), size >= 0 else {
            throw Fault(words: "status \(status ?? 0), body in chunks that cannot be read")
        }
        // The last chunk is empty; fields that may follow it are not looked at.
        part = size == 0 ? .nothing : .chunk(size)
    }
}
