// SPDX-License-Identifier: Apache-2.0
import Foundation
import Logging

/// An event that is logged, before it has a form.
struct LogRecord: Sendable {
    /// When it was logged.
    var time: Date
    /// How much it matters.
    var level: Logger.Level
    /// What happened, such as `generation_applied`; `nil` for what is no event, and only text.
    var kind: String?
    /// What there is to say about it.
    var fields: Logger.Metadata

    /// An event of its parts.
    init(time: Date = Date(), level: Logger.Level, kind: String?, fields: Logger.Metadata) {
        self.time = time
        self.level = level
        self.kind = kind
        self.fields = fields
    }

    /// What a logger was told: the kind is the metadata's `event`, and stands for the message.
    init(_ event: LogEvent, under metadata: Logger.Metadata) {
        var fields = metadata.merging(event.metadata ?? [:]) { _, new in new }
        let kind = fields.removeValue(forKey: "event").map { "\($0)" }
        if kind == nil, fields["message"] == nil { fields["message"] = "\(event.message)" }
        self.init(level: event.level, kind: kind, fields: fields)
    }

    /// The fields in the order in which they are written.
    var sortedFields: [(key: String, value: Logger.MetadataValue)] {
        fields.sorted { $0.key < $1.key }
    }

    /// When it was logged, to the millisecond.
    var timeText: String {
        time.formatted(.iso8601.year().month().day().time(includingFractionalSeconds: true)) + "Z"
    }
}
