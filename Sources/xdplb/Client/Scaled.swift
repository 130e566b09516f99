// SPDX-License-Identifier: Apache-2.0
import Foundation

/// Numbers as people read them.
enum Scaled {
    /// `3.91 M` on a terminal, all digits elsewhere.
    static func number(_ value: Double, isTerminal: Bool = Terminal.isOutput) -> String {
        let units: [(name: String, factor: Double)] = [
            ("", 1), (" k", 1e3), (" M", 1e6), (" G", 1e9),
        ]
        guard isTerminal, var index = units.lastIndex(where: { value >= $0.factor }), index > 0
        else { return String(format: "%.0f", value) }
        // What rounds to 1000 of a unit is 1 of the next.
        if value / units[index].factor >= 999.5, index + 1 < units.count { index += 1 }
        let scaled = value / units[index].factor
        let digits = scaled < 9.995 ? 2 : scaled < 99.95 ? 1 : 0
        return String(format: "%.\(digits)f", scaled) + units[index].name
    }

    /// As in `33.3 %`.
    static func percent(_ share: Double) -> String { String(format: "%.1f %%", share * 100) }

    /// As in `256 MiB`.
    static func bytes(_ count: Int) -> String {
        count >= 1 << 30
            ? String(format: "%.1f GiB", Double(count) / Double(1 << 30)) : "\(count >> 20) MiB"
    }

    /// As in `3d 4h`, `2m 10s`, `0.1s`.
    static func duration(_ seconds: Double) -> String {
        switch seconds {
        case ..<10: String(format: "%.1fs", seconds)
        case ..<60: "\(Int(seconds))s"
        case ..<3600: "\(Int(seconds) / 60)m \(Int(seconds) % 60)s"
        case ..<86400: "\(Int(seconds) / 3600)h \(Int(seconds) % 3600 / 60)m"
        default: "\(Int(seconds) / 86400)d \(Int(seconds) % 86400 / 3600)h"
        }
    }

    /// How long ago a time of a document was.
    static func since(_ time: String, now: Date = Date()) -> String {
        guard let date = try? Date(time, strategy: .iso8601) else { return "?" }
        return duration(max(0, now.timeIntervalSince(date)))
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
        throw CommandFailure(.invalid, "'\(text)' is no duration, such as 250ms, 2s, 5m or 1h")
    }
}
