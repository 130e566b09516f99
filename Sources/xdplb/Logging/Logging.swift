// SPDX-License-Identifier: Apache-2.0
import ControlPlane
import Logging

/// The daemon's log: events with fields, in the form that the configuration names.
struct Logging {
    /// Where everything that is to be logged goes.
    let logger: Logger
    private let writer: LogWriter

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
        var logger = Logger(label: "xdplb") { _ in EventHandler(writer: writer) }
        logger.logLevel = Logger.Level(rawValue: level.rawValue) ?? .info
        self.logger = logger
    }

    /// Says what was held back so far; for the end of the process.
    func finish() { writer.finish() }
}

/// Hands what is logged to the writer.
private struct EventHandler: LogHandler {
    let writer: LogWriter
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.info
    var metadataProvider: Logger.MetadataProvider?

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) { writer.write(LogRecord(event, under: metadata)) }
}
