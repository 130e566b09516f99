// SPDX-License-Identifier: Apache-2.0
import ControlPlane
import Foundation

/// Where events are written to.
protocol LogOutput: Sendable {
    /// Writes an event.
    func write(_ record: LogRecord)
}

/// Standard error, a line an event.
struct StandardErrorOutput: LogOutput {
    /// What an event looks like, without the line break.
    let form: @Sendable (LogRecord) -> String

    func write(_ record: LogRecord) {
        // One write, so that lines of several processes do not mix.
        FileHandle.standardError.write(Data((form(record) + "\n").utf8))
    }
}

/// systemd's journal; standard error while that takes nothing, so that no event is lost.
struct JournalOutput: LogOutput {
    private let journal = DatagramAddress("/run/systemd/journal/socket")
    private let fallback = StandardErrorOutput(form: Logfmt.line)

    func write(_ record: LogRecord) {
        if journal?.send(JournalEntry.bytes(record)) != true { fallback.write(record) }
    }
}
