// SPDX-License-Identifier: Apache-2.0

/// Something that happened, as the log has it.
package struct EventDocument: Codable, Sendable {
    package var time: String
    /// `info`, `warning` or `error`.
    package var level: String
    /// Its kind, such as `generation_applied`.
    package var event: String
    /// What happened, in a sentence.
    package var text: String
}
