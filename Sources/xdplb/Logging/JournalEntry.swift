// SPDX-License-Identifier: Apache-2.0
import ControlPlane
import Logging

/// Events as entries of systemd's journal, in its native protocol: a datagram of fields.
///
/// See "Native Journal Protocol" of the systemd project. An entry is bounded, so that it always
/// fits a datagram; what is longer is cut.
enum JournalEntry {
    /// Most bytes of a field's value.
    private static let longestValue = 4096
    /// Most bytes of an entry: a datagram takes what the socket's buffer holds, 208 KiB by default.
    private static let longestEntry = 64 << 10

    /// The datagram of an event.
    ///
    /// Each of the event's fields is `XDPLB_` and its name: `XDPLB_SERVICE`, `XDPLB_BACKEND`,
    /// `XDPLB_GENERATION`. `MESSAGE` has all of them once more, as `journalctl` shows it alone.
    static func bytes(_ record: LogRecord) -> [UInt8] {
        var bytes: [UInt8] = []
        append("MESSAGE", message(record), to: &bytes)
        append("PRIORITY", "\(priority(record.level))", to: &bytes)
        append("SYSLOG_IDENTIFIER", "xdplb", to: &bytes)
        if let kind = record.kind {
            append("XDPLB_EVENT", kind, to: &bytes)
            if let kind = EventKind(rawValue: kind) {
                append("MESSAGE_ID", EventMessageID.of(kind), to: &bytes)
            }
        }
        for (key, value) in record.sortedFields {
            append("XDPLB_" + name(key), "\(value)", to: &bytes)
        }
        return bytes
    }

    /// The kind first, then the fields; the text alone of what is no event.
    private static func message(_ record: LogRecord) -> String {
        var fields = record
        fields.kind = nil
        if let kind = record.kind {
            return record.fields.isEmpty ? kind : "\(kind) \(Logfmt.text(fields))"
        }
        let text = fields.fields.removeValue(forKey: "message").map { "\($0)" } ?? ""
        return fields.fields.isEmpty ? text : "\(text) \(Logfmt.text(fields))"
    }

    /// Levels of syslog(3).
    private static func priority(_ level: Logger.Level) -> Int {
        switch level {
        case .critical: 2
        case .error: 3
        case .warning: 4
        case .notice: 5
        case .info: 6
        case .debug, .trace: 7
        }
    }

    /// Capital letters, digits and underscores are all that a field's name may have.
    private static func name(_ key: String) -> String {
        String(
            key.uppercased().map { character in
                character.isASCII && (character.isLetter || character.isNumber) ? character : "_"
            }.prefix(50))
    }

    private static func append(_ name: String, _ text: String, to bytes: inout [UInt8]) {
        var value = Array(text.utf8.prefix(longestValue))
        // Not within a character: what follows its first byte begins with the bits 10.
        if value.count < text.utf8.count {
            while let last = value.last, last & 0xc0 == 0x80 { value.removeLast() }
            if let last = value.last, last & 0xc0 == 0xc0 { value.removeLast() }
        }
        guard bytes.count + name.utf8.count + value.count + 10 <= longestEntry else { return }
        bytes += name.utf8
        if value.contains(UInt8(ascii: "\n")) {
            // A value of several lines has its length in front, in little endian.
            bytes.append(UInt8(ascii: "\n"))
            bytes += (0..<8).map { UInt8(truncatingIfNeeded: UInt64(value.count) >> ($0 * 8)) }
        } else {
            bytes.append(UInt8(ascii: "="))
        }
        bytes += value
        bytes.append(UInt8(ascii: "\n"))
    }
}
