// SPDX-License-Identifier: Apache-2.0

/// Something that happened, as the log has it.
package struct EventDocument: Codable, Sendable {
    package var time: String
    /// `info`, `notice`, `warning` or `error`.
    package var level: String
    /// Its kind, such as `generation_applied`.
    package var event: String
    /// What happened, in a sentence.
    package var text: String
}

extension EventDocument {
    /// An event as everybody may see it: a capture's filter may have a client's address.
    init(_ event: ControlEvent) {
        time = AdminJSON.text(event.date)
        level = event.level.rawValue
        self.event = event.kind.rawValue
        var shown = event
        shown.fields.removeAll { $0.name == "filter" }
        text = shown.text
    }
}
