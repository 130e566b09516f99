// SPDX-License-Identifier: Apache-2.0
internal import Foundation

/// Numbers as people read them, on the dashboard and by the commands.
package enum Scaled {
    /// Three digits and a unit, as in `3.91 M`.
    package static func rounded(_ value: Double) -> String {
        let units: [(name: String, factor: Double)] = [
            ("", 1), (" k", 1e3), (" M", 1e6), (" G", 1e9),
        ]
        guard var index = units.lastIndex(where: { value >= $0.factor }), index > 0 else {
            return String(format: "%.0f", value)
        }
        // What rounds to 1000 of a unit is 1 of the next.
        if value / units[index].factor >= 999.5, index + 1 < units.count { index += 1 }
        let scaled = value / units[index].factor
        let digits = scaled < 9.995 ? 2 : scaled < 99.95 ? 1 : 0
        return String(format: "%.\(digits)f", scaled) + units[index].name
    }

    /// With one digit behind the point, as in `38.2`.
    package static func tenths(_ value: Double) -> String { String(format: "%.1f", value) }

    /// All digits in groups of three, as in `8 211`; the spaces are narrow and do not break a line.
    package static func grouped(_ count: UInt64) -> String {
        let digits = Array(String(count))
        return digits.indices.map { index in
            let isFirstOfGroup = index > 0 && (digits.count - index).isMultiple(of: 3)
            return (isFirstOfGroup ? "\u{202f}" : "") + String(digits[index])
        }.joined()
    }

    /// As in `33.3 %`.
    package static func percent(_ share: Double) -> String {
        String(format: "%.1f %%", share * 100)
    }

    /// As in `256 MiB`.
    package static func bytes(_ count: Int) -> String {
        count >= 1 << 30
            ? String(format: "%.1f GiB", Double(count) / Double(1 << 30)) : "\(count >> 20) MiB"
    }

    /// As in `3d 4h`, `2m 10s`, `0.1s`.
    package static func duration(_ seconds: Double) -> String {
        switch seconds {
        case ..<10: String(format: "%.1fs", seconds)
        case ..<60: "\(Int(seconds))s"
        case ..<3600: "\(Int(seconds) / 60)m \(Int(seconds) % 60)s"
        case ..<86400: "\(Int(seconds) / 3600)h \(Int(seconds) % 3600 / 60)m"
        default: "\(Int(seconds) / 86400)d \(Int(seconds) % 86400 / 3600)h"
        }
    }

    /// How long ago a time of a document was, now or at another such time.
    package static func since(_ time: String, at now: String? = nil) -> String {
        let end = now.map { try? Date($0, strategy: .iso8601) } ?? Date()
        guard let begin = try? Date(time, strategy: .iso8601), let end else { return "?" }
        return duration(max(0, end.timeIntervalSince(begin)))
    }
}
