// SPDX-License-Identifier: Apache-2.0
import ControlPlane
import Foundation

extension Scaled {
    /// `3.91 M` on a terminal, all digits elsewhere.
    static func number(_ value: Double, isTerminal: Bool = Terminal.isOutput) -> String {
        isTerminal ? rounded(value) : String(format: "%.0f", value)
    }
}

/// Durations of the command line: `250ms`, `2s`, `5m`, `1h`.
enum DurationText {
    /// Longest duration that is taken: 1000 days.
    private static let longest = 86_400_000.0

    /// Seconds of a duration with its unit.
    ///
    /// - Throws: ``CommandFailure`` when it has none, is negative or over 1000 days.
    static func seconds(_ text: String) throws(CommandFailure) -> Double {
        for (unit, factor) in [("ms", 0.001), ("s", 1), ("m", 60), ("h", 3600)]
        where text.hasSuffix(unit) {
            let digits = text.dropLast(unit.count)
            guard digits.allSatisfy({ $0.isASCII && ($0.isNumber || $0 == ".") }),
                let number = Double(digits), number * factor <= longest
            else { break }
            return number * factor
        }
        throw CommandFailure(.invalid, "'\(text)' is not a duration, such as 250ms, 2s, 5m or 1h")
    }
}
