// SPDX-License-Identifier: Apache-2.0
import ControlPlane
import Logging
import Synchronization

/// The daemon's log: events with fields, in the form that the configuration names.
struct Logging: Sendable {
    /// Where everything that is to be logged goes.
    let logger: Logger
    private let writer: LogWriter
    private let threshold: Threshold

    /// A log that begins at `level`.
    init(_ format: LogFormat, _ level: LogLevel) {
        let output: any LogOutput =
            switch format {
            case .logfmt: StandardErrorOutput(form: Logfmt.line)
            case .json: StandardErrorOutput(form: JSONLine.line)
            case .journal: JournalOutput()
            }
        let writer = LogWriter(output)
        self.writer = writer
        let threshold = Threshold(level)
        self.threshold = threshold
        logger = Logger(label: "xdplb") { _ in
            EventHandler(writer: writer, threshold: threshold)
        }
    }

    /// Logs from this level on, also by loggers that were handed out before.
    func setLevel(_ level: LogLevel) { threshold.set(level) }

    /// Says what was held back so far; for the end of the process.
    func finish() { writer.finish() }
}

/// The lowest level that is logged, for all copies of a logger.
private final class Threshold: Sendable {
    private let current: Mutex<Logger.Level>

    init(_ level: LogLevel) { current = Mutex(Self.level(level)) }

    var level: Logger.Level { current.withLock { $0 } }

    func set(_ level: LogLevel) { current.withLock { $0 = Self.level(level) } }

    private static func level(_ level: LogLevel) -> Logger.Level {
        Logger.Level(rawValue: level.rawValue) ?? .info
    }
}

/// Hands what is logged to the writer.
private struct EventHandler: LogHandler {
    let writer: LogWriter
    let threshold: Threshold
    var metadata: Logger.Metadata = [:]
    /// What a copy of the logger was set to; `nil` follows the configuration.
    var ownLevel: Logger.Level?
    var metadataProvider: Logger.MetadataProvider?

    var logLevel: Logger.Level {
        get { ownLevel ?? threshold.level }
        set { ownLevel = newValue }
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) { writer.write(LogRecord(event, under: metadata)) }
}
