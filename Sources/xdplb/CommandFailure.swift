// SPDX-License-Identifier: Apache-2.0

/// Why a command ends without having done what it was asked for.
struct CommandFailure: Error, CustomStringConvertible {
    /// What the process exits with, and what that means to a script.
    enum Code: Int32 {
        /// Findings, under `--strict`.
        case findings = 1
        /// Arguments, a configuration or a file are invalid.
        case invalid = 2
        /// Refused or failed; nothing was changed.
        case refused = 3
        /// The daemon is not running or not reachable.
        case unreachable = 4
        /// A wait timed out; what was started goes on.
        case timedOut = 5
    }

    /// What the process exits with.
    let code: Code
    /// Fact, consequence, remedy.
    ///
    /// Empty when everything has been said already.
    let message: String

    var description: String { message }

    /// A failure of its parts.
    init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }
}
