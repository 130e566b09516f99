// SPDX-License-Identifier: Apache-2.0
import Logging

/// Events as `TIME level=… event=… key=value …`.
enum Logfmt {
    /// A line, without the line break.
    static func line(_ record: LogRecord) -> String {
        "\(record.timeText) level=\(record.level.rawValue) \(text(record))"
    }

    /// What of a line is not about when and how much.
    static func text(_ record: LogRecord) -> String {
        let kind = record.kind.map { ["event=\(quoted($0))"] } ?? []
        let fields = record.sortedFields.map { "\($0.key)=\(quoted("\($0.value)"))" }
        return (kind + fields).joined(separator: " ")
    }

    /// In quotes when it has a character that would end the value, or the line.
    private static func quoted(_ text: String) -> String {
        let isPlain = text.unicodeScalars.allSatisfy {
            $0 != " " && $0 != "=" && $0 != "\"" && $0.properties.generalCategory != .control
        }
        return isPlain && !text.isEmpty ? text : JSONLine.quoted(text)
    }
}
