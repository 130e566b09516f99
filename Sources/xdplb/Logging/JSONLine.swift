// SPDX-License-Identifier: Apache-2.0
import Logging

/// Events as JSON objects, one a line.
enum JSONLine {
    /// An object, without the line break.
    static func line(_ record: LogRecord) -> String {
        var members = [
            "\"time\":\"\(record.timeText)\"", "\"level\":\"\(record.level.rawValue)\"",
        ]
        if let kind = record.kind { members.append("\"event\":\(quoted(kind))") }
        members += record.sortedFields.map { "\(quoted($0.key)):\(text($0.value))" }
        return "{\(members.joined(separator: ","))}"
    }

    /// Numbers and truth values as such, where they were logged as such.
    private static func text(_ value: Logger.MetadataValue) -> String {
        switch value {
        case .string(let text): quoted(text)
        case .stringConvertible(let value):
            switch value {
            case is Bool, is any BinaryInteger: "\(value)"
            case let number as Double where number.isFinite: "\(number)"
            default: quoted("\(value)")
            }
        case .array(let values): "[\(values.map(text).joined(separator: ","))]"
        case .dictionary(let members):
            "{\(members.sorted { $0.key < $1.key }.map { "\(quoted($0.key)):\(text($0.value))" }.joined(separator: ","))}"
        }
    }

    /// A string as JSON has it (RFC 8259 §7).
    static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\t": result += "\\t"
            // Control characters beyond ASCII as well: terminals obey them.
            case _ where scalar.properties.generalCategory == .control:
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}
