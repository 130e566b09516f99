// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import xdplb

/// What the daemon answers, whole and in pieces.
@Suite struct HTTPAnswerTests {
    private static let chunked = Array(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nA: b\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n"
            .utf8)
    private static let counted = Array(
        "HTTP/1.1 404 Not Found\r\nCONTENT-LENGTH: 5\r\n\r\nhello".utf8)

    @Test func `a body is what its chunks are, or as long as it says`() throws {
        let first = try #require(try HTTPAnswer(Self.chunked))
        #expect(first.status == 200 && String(decoding: first.body, as: UTF8.self) == "hello world")
        let second = try #require(try HTTPAnswer(Self.counted))
        #expect(second.status == 404 && String(decoding: second.body, as: UTF8.self) == "hello")
        #expect(HTTPHead(Self.chunked)?["a"] == "b")
    }

    @Test func `an answer that ends early is none`() throws {
        // The line breaks behind the last chunk say nothing more.
        for count in 0..<Self.chunked.count - 2 {
            #expect(try HTTPAnswer(Array(Self.chunked.prefix(count))) == nil, "\(count)")
        }
        for count in 0..<Self.counted.count {
            #expect(try HTTPAnswer(Array(Self.counted.prefix(count))) == nil, "\(count)")
        }
    }

    @Test func `chunks may arrive in any pieces`() throws {
        let head = try #require(HTTPHead(Self.chunked))
        for size in 1...head.rest.count {
            var chunks = ChunkedBody()
            var body: [UInt8] = []
            var rest = head.rest[...]
            while !rest.isEmpty {
                body += try chunks.take(Array(rest.prefix(size)))
                rest = rest.dropFirst(size)
            }
            #expect(chunks.isAtEnd && String(decoding: body, as: UTF8.self) == "hello world")
        }
    }

    @Test(arguments: ["\r\n", "x\r\n", "fffffffff\r\n", "-1\r\n"])
    func `a chunk without a size is told`(line: String) {
        let failure = #expect(throws: CommandFailure.self) {
            var chunks = ChunkedBody()
            _ = try chunks.take(Array(line.utf8))
        }
        #expect(failure?.code == .unreachable)
        #expect(failure?.message.contains("invalid chunk size") == true)
    }
}
