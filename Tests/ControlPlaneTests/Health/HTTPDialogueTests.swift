// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import ControlPlane

/// Answers as servers send them, in every way they may be cut into pieces.
@Suite struct HTTPDialogueTests {
    struct Case: CustomTestStringConvertible, Sendable {
        let testDescription: String
        let answer: String
        let move: ProbeMove

        init(_ sentence: String, _ answer: String, _ move: ProbeMove) {
            testDescription = sentence
            self.answer = answer.replacing("\n", with: "\r\n")
            self.move = move
        }
    }

    private static let missing = ProbeMove.bad("status 200, body without the expected text")
    private static let chunked = "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n"

    private static func dialogue(_ body: String?) -> HTTPDialogue {
        var configuration = HealthConfiguration()
        configuration.statuses = [200...299]
        configuration.body = body
        return HTTPDialogue(configuration, host: "10.0.0.1")
    }

    private static func feed(_ dialogue: HTTPDialogue, _ answer: String, by size: Int) -> ProbeMove
    {
        let bytes = Array(answer.utf8)
        for start in stride(from: 0, to: bytes.count, by: size) {
            let move = dialogue.received(Array(bytes[start..<min(start + size, bytes.count)]))
            if move.verdict != nil { return move }
        }
        return ProbeMove()
    }

    @Test(
        arguments: [
            Case("a text in the body", "HTTP/1.1 200 OK\n\nall ready", .success),
            Case("no text yet", "HTTP/1.1 200 OK\n\nall rea", ProbeMove()),
            Case(
                "a body that ends by its length",
                "HTTP/1.1 200 OK\nContent-Length: 6\n\nasleep", missing),
            Case("an empty body", "HTTP/1.1 200 OK\ncontent-length:0\n\n", missing),
            Case(
                "what comes after the body does not count",
                "HTTP/1.1 200 OK\nContent-Length: 3\n\nallready", missing),
            Case(
                "an interim answer", "HTTP/1.1 100 Continue\n\nHTTP/1.1 200 OK\n\nready", .success),
            Case(
                "interim answers with fields, and a bad status",
                "HTTP/1.1 103 Early Hints\nContent-Length: 5\n\nHTTP/1.1 102 Processing\n\n"
                    + "HTTP/1.1 503 No\n\n", .bad("status 503")),
            Case("another protocol", "HTTP/1.1 101 Switching\n\nready", .bad("status 101")),
            Case("a text across chunks", chunked + "3\nrea\n2;x=y\ndy\n0\n\n", .success),
            Case("the sizes of chunks do not count", chunked + "5\nasleep", ProbeMove()),
            Case("chunks without the text", chunked + "6\nasleep\n0\n\n", missing),
            Case(
                "a coding before chunks",
                "HTTP/1.1 200 OK\nTRANSFER-ENCODING: gzip , Chunked\n\n5\nready\n", .success),
            Case(
                "chunks count, not a length that is there too",
                "HTTP/1.1 200 OK\nContent-Length: 1\nTransfer-Encoding: chunked\n\n5\nready\n",
                .success),
            Case(
                "a chunk without a size", chunked + "ready\n",
                .bad("status 200, body in chunks that cannot be read")),
            Case(
                "a chunk of a size beyond numbers", chunked + "ffffffffffffffffff\n",
                .bad("status 200, body in chunks that cannot be read")),
            Case("a field without a name", "HTTP/1.1 200 OK\n:\n: x\n\nready", .success),
            Case("no HTTP", "SMTP ready\n", .bad("no HTTP")),
        ], [1, 2, 7, 1000])
    func `an answer is judged alike in pieces of any size`(_ test: Case, _ size: Int) {
        #expect(Self.feed(Self.dialogue("ready"), test.answer, by: size) == test.move)
    }

    @Test func `without a text the status alone counts, also before a body that is broken`() {
        for body in [nil, ""] {
            let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno size\r\n"
            #expect(Self.feed(Self.dialogue(body), answer, by: 1000) == .success)
        }
    }

    @Test func `lines may end without a carriage return`() {
        #expect(Self.feed(Self.dialogue("ready"), "HTTP/1.0 200\n\nready", by: 3) == .success)
    }

    @Test func `an endless first line or head is not read forever`() {
        let line = Self.dialogue(nil).received(
            Array(("HTTP/1.1" + String(repeating: "1", count: 300)).utf8))
        #expect(line == .bad("no HTTP"))
        let head = "HTTP/1.1 200 OK\r\n" + String(repeating: "x: y\r\n", count: 20_000)
        #expect(Self.feed(Self.dialogue("ready"), head, by: 1000) == Self.missing)
    }

    @Test func `an answer that ends before its status is none`() {
        let dialogue = Self.dialogue(nil)
        #expect(dialogue.ended() == .bad("closed without an answer"))
        #expect(dialogue.received(Array("HTTP/1.1 2".utf8)) == ProbeMove())
        #expect(dialogue.ended() == .bad("no HTTP"))
    }
}
