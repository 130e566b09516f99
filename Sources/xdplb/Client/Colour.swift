// SPDX-License-Identifier: Apache-2.0
import Foundation

/// What standard output and standard error are.
enum Terminal {
    /// Whether a person looks at it: numbers may be rounded then, and words coloured.
    static var isOutput: Bool { isatty(STDOUT_FILENO) == 1 }
    /// Whether a person sees progress and messages.
    static var isError: Bool { isatty(STDERR_FILENO) == 1 }
}

/// Colour for states, never alone: the word says the same.
enum Colour: String {
    /// Somebody should look at it.
    case bad = "31"
    /// Not as usual, on purpose or for now.
    case unusual = "33"

    /// Whether colours are shown: on a terminal that has any, unless `NO_COLOR` is set
    /// (no-color.org).
    static let areShown =
        Terminal.isOutput && environment("NO_COLOR").isEmpty && environment("TERM") != "dumb"

    private static func environment(_ name: String) -> String {
        ProcessInfo.processInfo.environment[name] ?? ""
    }

    /// A word in this colour.
    func callAsFunction(_ text: String, isShown: Bool = areShown) -> String {
        isShown ? "\u{1b}[\(rawValue)m\(text)\u{1b}[0m" : text
    }

    /// Columns that a text takes, in which colours take none.
    static func width(of text: String) -> Int { plain(text).count }

    /// A text without its colours.
    static func plain(_ text: String) -> String {
        var plain = ""
        var isInside = false
        for character in text {
            switch character {
            case "\u{1b}": isInside = true
            case "m" where isInside: isInside = false
            default: if !isInside { plain.append(character) }
            }
        }
        return plain
    }
}
