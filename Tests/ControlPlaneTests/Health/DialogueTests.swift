// SPDX-License-Identifier: Apache-2.0
import DataPlane
import Testing

@testable import ControlPlane

@Suite struct DialogueTests {
    private static func http(_ body: String? = nil) -> HTTPDialogue {
        var configuration = HealthConfiguration()
        configuration.path = "/healthz"
        configuration.statuses = [200...299]
        configuration.body = body
        return HTTPDialogue(configuration, host: "10.0.0.1")
    }

    @Test func `the request is one that any server understands`() {
        let request = String(decoding: Self.http().opened().send, as: UTF8.self)
        #expect(request.hasPrefix("GET /healthz HTTP/1.1\r\nHost: 10.0.0.1\r\n"))
        #expect(request.hasSuffix("\r\nConnection: close\r\n\r\n"))
    }

    @Test(arguments: [
        ("HTTP/1.1 200 OK\r\n\r\n", ProbeMove.success),
        ("HTTP/1.0 204 \r\n", .success),
        ("HTTP/1.1 503 No\r\n\r\n", .bad("status 503")),
        ("HTTP/1.1 20", ProbeMove()),
        ("SSH-2.0-OpenSSH\r\n", .bad("no HTTP")),
        ("SSH-2.0", .bad("no HTTP")),
    ])
    func `the status decides`(answer: String, move: ProbeMove) {
        #expect(Self.http().received(Array(answer.utf8)) == move)
    }

    @Test func `the status may come in pieces`() {
        let dialogue = Self.http()
        let moves = "HTTP/1.1 200 OK\r\n".utf8.map { dialogue.received([$0]) }
        #expect(moves.last == .success)
        #expect(moves.dropLast().allSatisfy { $0 == ProbeMove() })
    }

    @Test func `the body must have the text and headers do not count`() {
        let head = "HTTP/1.1 200 OK\r\nServer: ready\r\n\r\n"
        let dialogue = Self.http("ready")
        #expect(dialogue.received(Array(head.utf8)) == ProbeMove())
        #expect(dialogue.received(Array("not re".utf8)) == ProbeMove())
        #expect(dialogue.received(Array("ady yet".utf8)) == .success)
        let other = Self.http("ready")
        #expect(other.received(Array((head + "asleep").utf8)) == ProbeMove())
        #expect(other.ended() == .bad("status 200, body without the expected text"))
    }

    @Test func `an endless answer is not read forever`() {
        let dialogue = Self.http("never")
        _ = dialogue.received(Array("HTTP/1.1 200 OK\r\n\r\n".utf8))
        let move = dialogue.received([UInt8](repeating: 0, count: 1 << 20))
        #expect(move == .bad("status 200, body without the expected text"))
    }

    @Test(
        arguments: [
            ([0x12, 0x34, 0x84, 0x00], ProbeMove.Verdict.success),
            ([0x12, 0x34, 0x84, 0x03], .success),
            ([0x12, 0x34, 0x84, 0x02], .badReply("SERVFAIL")),
            ([0x12, 0x34, 0x84, 0x05], .badReply("REFUSED")),
            ([0x12, 0x35, 0x84, 0x00], nil),
            ([0x12, 0x34, 0x04, 0x00], nil),
        ] as [([UInt8], ProbeMove.Verdict?)])
    func `a name server answers own questions and fails by its code`(
        start: [UInt8], verdict: ProbeMove.Verdict?
    ) {
        let dialogue = DatagramDialogue.dns(id: 0x1234, name: "example.net")
        #expect(dialogue.judge(start + [UInt8](repeating: 0, count: 8)) == verdict)
        #expect(dialogue.judge(start) == nil)
    }

    @Test func `the question has the name in labels`() {
        let question = DatagramDialogue.dns(id: 1, name: "a.bc").question
        #expect(Array(question.dropFirst(12)) == [1, 97, 2, 98, 99, 0, 0, 2, 0, 1])
        #expect(DatagramDialogue.dns(id: 1, name: ".").question.count == 17)
    }

    @Test func `an echo is answered by all of its data only`() {
        let echo = Echo(identifier: 7, number: 9, dataCount: 8)
        var reply = echo.request(.ipv4)
        #expect(!echo.isAnswered(by: reply, .ipv4))
        reply[0] = 0
        #expect(echo.isAnswered(by: reply, .ipv4))
        #expect(!echo.isAnswered(by: reply.dropLast(), .ipv4))
        reply[7] = 8
        #expect(!echo.isAnswered(by: reply, .ipv4))
    }
}
