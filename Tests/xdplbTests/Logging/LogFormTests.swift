// SPDX-License-Identifier: Apache-2.0
import ControlPlane
import Foundation
import Logging
import Testing

@testable import xdplb

/// What an event looks like in each form.
@Suite struct LogFormTests {
    private static let time = Date(timeIntervalSince1970: 1_795_416_070.114)

    private static func record(
        _ kind: String?, _ fields: Logger.Metadata, _ level: Logger.Level = .warning
    ) -> LogRecord {
        LogRecord(time: time, level: level, kind: kind, fields: fields)
    }

    private static let health = record(
        "backend_health",
        [
            "service": "dns", "backend": "dns-4", "reason": "timeout 3/3",
            "generation": .stringConvertible(7),
        ])

    @Test func `logfmt has the time, the level, the kind, and the fields by name`() {
        #expect(
            Logfmt.line(Self.health)
                == """
                2026-11-23T06:41:10.114Z level=warning event=backend_health backend=dns-4 \
                generation=7 reason="timeout 3/3" service=dns
                """)
    }

    @Test(arguments: [
        ("", #""""#), ("plain", "plain"), ("a b", #""a b""#), ("a=b", #""a=b""#),
        (#"a"b"#, #""a\"b""#), ("a\nb", #""a\nb""#), ("a\u{1b}[2J", #""a\u001b[2J""#),
        ("naïve", "naïve"), ("a\u{85}b", #""a\u0085b""#),
    ])
    func `a value of logfmt never ends early, nor the line`(value: String, text: String) {
        #expect(Logfmt.text(Self.record("x", ["k": .string(value)])) == "event=x k=\(text)")
    }

    @Test func `a line of JSON is an object, with numbers where numbers were logged`() throws {
        let line = JSONLine.line(
            Self.record(
                "generation_applied",
                [
                    "generation": .stringConvertible(7), "by": "80",
                    "took_ms": .stringConvertible(0.5),
                    "file": "/etc/\"x\"\n", "lost": .stringConvertible(Double.nan),
                    "dry": .stringConvertible(true), "workers": ["0", .stringConvertible(1)],
                    "more": ["b": "2", "a": "1"],
                ], .info))
        #expect(
            line == """
                {"time":"2026-11-23T06:41:10.114Z","level":"info","event":"generation_applied",\
                "by":"80","dry":true,"file":"/etc/\\"x\\"\\n","generation":7,"lost":"nan",\
                "more":{"a":"1","b":"2"},"took_ms":0.5,"workers":["0",1]}
                """)
        _ = try JSONSerialization.jsonObject(with: Data(line.utf8))
    }

    @Test func `an entry of the journal has a field for each of the event's`() {
        let text = String(decoding: JournalEntry.bytes(Self.health), as: UTF8.self)
        #expect(
            text == """
                MESSAGE=backend_health backend=dns-4 generation=7 reason="timeout 3/3" service=dns
                PRIORITY=4
                SYSLOG_IDENTIFIER=xdplb
                XDPLB_EVENT=backend_health
                MESSAGE_ID=30fc60801fe74c0fac3d9547fbb4f552
                XDPLB_BACKEND=dns-4
                XDPLB_GENERATION=7
                XDPLB_REASON=timeout 3/3
                XDPLB_SERVICE=dns

                """)
    }

    @Test func `a value of several lines has its length in front`() {
        let bytes = JournalEntry.bytes(Self.record(nil, ["message": "a\nPRIORITY=0\n"], .error))
        let first =
            Array("MESSAGE\n".utf8) + [13, 0, 0, 0, 0, 0, 0, 0] + Array("a\nPRIORITY=0\n\n".utf8)
        #expect(Array(bytes.prefix(first.count)) == first)
        #expect(
            String(decoding: bytes.dropFirst(first.count), as: UTF8.self).hasPrefix("PRIORITY=3\n"))
    }

    @Test func `an entry is bounded, and not cut within a character`() throws {
        let long = Logger.MetadataValue.string(String(repeating: "é", count: 3000))
        var fields: Logger.Metadata = [:]
        for index in 0..<100 { fields["field \(index)"] = long }
        let bytes = JournalEntry.bytes(Self.record("x", fields))
        #expect(bytes.count <= 64 << 10)
        let text = try #require(String(validating: bytes, as: UTF8.self))
        #expect(text.contains("\nXDPLB_FIELD_0=éé"))
    }

    @Test func `kinds have different identities, of 128 bits`() {
        let all = EventKind.allCases.map(EventMessageID.of)
        #expect(Set(all).count == all.count)
        #expect(
            all.allSatisfy { $0.count == 32 && $0.allSatisfy { $0.isHexDigit && !$0.isUppercase } })
    }
}
