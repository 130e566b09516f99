// SPDX-License-Identifier: Apache-2.0
import ControlPlane
import Foundation
import Logging

/// The daemon's log: one event a line on standard error, as logfmt.
enum Logging {
    /// A logger that prints from `level` on.
    static func make(_ level: LogLevel) -> Logger {
        var logger = Logger(label: "xdplb") { _ in LogfmtHandler() }
        logger.logLevel = Logger.Level(rawValue: level.rawValue) ?? .info
        return logger
    }
}

/// Prints `TIME level=… event=… key=value …`.
struct LogfmtHandler: LogHandler {
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.info

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var fields = metadata.merging(event.metadata ?? [:]) { _, new in new }
        let kind = fields.removeValue(forKey: "event").map { "\($0)" }
        if fields["message"] == nil, kind == nil { fields["message"] = "\(event.message)" }
        let time = Date().formatted(
            .iso8601.year().month().day().time(includingFractionalSeconds: true))
        var line = "\(time)Z level=\(event.level.rawValue)"
        if let kind { line += " event=\(kind)" }
        for (key, value) in fields.sorted(by: { $0.key < $1.key }) {
            line += " \(key)=\(Self.quoted("\(value)"))"
        }
        FileHandle.standardError.write(Data((line + "\n").utf8))
    }

    /// In quotes when it has a character that would end the value.
    private static func quoted(_ text: String) -> String {
        guard text.isEmpty || text.contains(where: { " =\"\n\t".contains($0) }) else { return text }
        let escaped = text.replacingOccurrences(of: "\\", with: "\\\\")
            .replacingOccurrences(of: "\"", with: "\\\"")
            .replacingOccurrences(of: "\n", with: "\\n")
        return "\"\(escaped)\""
    }
}
