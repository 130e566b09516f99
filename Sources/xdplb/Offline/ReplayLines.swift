// SPDX-License-Identifier: Apache-2.0
internal import Foundation

/// `replay --stdio`: a line in, a line out, flushed, in order.
enum ReplayLines {
    /// Runs until standard input ends, or nobody reads the answers any more.
    static func run(_ run: inout ReplayRun) throws {
        var number = 0
        while let text = readLine() {
            number += 1
            if text.allSatisfy(\.isWhitespace) { continue }
            let answer: String
            do throws(ReplayFailure) {
                answer = try Self.answer(text, &run)
            } catch {
                throw CommandFailure(.invalid, "line \(number) of standard input \(error)")
            }
            FileHandle.standardOutput.write(Data((answer + "\n").utf8))
        }
    }

    private static func answer(
        _ text: String, _ run: inout ReplayRun
    ) throws(ReplayFailure) -> String {
        switch try ReplayLine(text) {
        case .frame(let nanoseconds, let bytes):
            return run.process(
                bytes, at: nanoseconds, time: ReplayTime.text(nanoseconds), showsFrames: true
            ).line
        case .action(let nanoseconds, let changes):
            do throws(ReplayFailure) {
                return try run.apply(changes, at: nanoseconds)
            } catch {
                throw ReplayFailure("has an action that cannot be done: \(error)")
            }
        }
    }
}

/// Times as `replay` prints them: seconds with nine digits at most.
enum ReplayTime {
    static func text(_ nanoseconds: UInt64) -> String {
        let seconds = nanoseconds / 1_000_000_000
        var rest = nanoseconds % 1_000_000_000
        guard rest > 0 else { return "\(seconds).0" }
        var digits = 9
        while rest % 10 == 0 {
            rest /= 10
            digits -= 1
        }
        let text = String(rest)
        return "\(seconds)." + String(repeating: "0", count: digits - text.count) + text
    }
}
