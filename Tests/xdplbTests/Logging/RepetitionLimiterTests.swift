// SPDX-License-Identifier: Apache-2.0
import Foundation
import Logging
import Synchronization
import Testing

@testable import xdplb

/// Events that say the same again and again.
@Suite struct RepetitionLimiterTests {
    private let start = ContinuousClock.now

    private static func record(_ service: String, _ level: Logger.Level = .warning) -> LogRecord {
        LogRecord(level: level, kind: "ring_loss", fields: ["service": "\(service)"])
    }

    @Test func `five are written, and the others are counted`() throws {
        var limiter = RepetitionLimiter()
        let written = (0..<1289).count {
            limiter.admits(Self.record("a"), at: start + .milliseconds($0))
        }
        #expect(written == 5)
        #expect(limiter.nextEnd == start + RepetitionLimiter.window)
        let early = limiter.end(at: start + .seconds(9))
        #expect(early.isEmpty)
        let ended = limiter.end(at: start + .seconds(10))
        #expect(ended.count == 1)
        #expect(
            try Logfmt.text(#require(ended.first)) == "event=ring_loss service=a suppressed=1284")
        #expect(limiter.nextEnd == nil)
    }

    @Test func `what differs in a field or the level is another event`() {
        var limiter = RepetitionLimiter()
        let records =
            Array(repeating: Self.record("a"), count: 6)
            + [Self.record("b"), Self.record("a", .error)]
        let written = records.map { limiter.admits($0, at: start) }
        #expect(written == [true, true, true, true, true, false, true, true])
    }

    @Test func `a few in each window are written without a word about suppression`() {
        var limiter = RepetitionLimiter()
        for second in 0..<100 {
            let now = start + .seconds(second * 3)
            let ended = limiter.end(at: now)
            let isWritten = limiter.admits(Self.record("a"), at: now)
            #expect(ended.isEmpty && isWritten)
        }
    }

    @Test func `many different events are all written, and memory stays bounded`() {
        var limiter = RepetitionLimiter()
        #expect((0..<5000).allSatisfy { limiter.admits(Self.record("\($0)"), at: start) })
        // Beyond what is remembered, nothing is held back.
        #expect((0..<10).allSatisfy { _ in limiter.admits(Self.record("4999"), at: start) })
    }

    @Test func `at the end of the process what was held back is said`() {
        final class Lines: LogOutput {
            let all = Mutex<[String]>([])
            func write(_ record: LogRecord) { all.withLock { $0.append(Logfmt.text(record)) } }
        }
        let lines = Lines()
        let writer = LogWriter(lines)
        for _ in 0..<8 { writer.write(Self.record("a")) }
        writer.finish()
        let line = "event=ring_loss service=a"
        #expect(
            lines.all.withLock { $0 } == Array(repeating: line, count: 5) + [line + " suppressed=3"]
        )
    }
}
