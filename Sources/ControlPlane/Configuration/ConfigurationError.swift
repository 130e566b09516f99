// SPDX-License-Identifier: Apache-2.0

/// Something in a configuration file that is wrong, or may be.
public struct ConfigurationProblem: Equatable, Sendable {
    /// How bad it is.
    public enum Severity: String, Sendable, Codable {
        /// The file is not applied.
        case error
        /// It is.
        case warning
    }

    /// How bad it is.
    public var severity: Severity
    /// Line, from 1.
    public var line: Int
    /// Column, from 1.
    public var column: Int
    /// Characters the problem spans, at least 1.
    public var length: Int
    /// What is wrong, without the place.
    public var message: String

    /// A problem of its parts.
    public init(
        severity: Severity, line: Int, column: Int, length: Int = 1, message: String
    ) {
        self.severity = severity
        self.line = line
        self.column = column
        self.length = max(length, 1)
        self.message = message
    }
}

/// Why a configuration file is not applied: all that is wrong with it, in the order of the file.
public struct ConfigurationError: Error, Sendable, CustomStringConvertible {
    /// Errors, and warnings between them.
    public let problems: [ConfigurationProblem]
    /// All of it as text, with the lines concerned.
    public let description: String

    init(_ problems: [ConfigurationProblem], file: String, text: String) {
        self.problems = problems
        description = ConfigurationReport(problems, file: file, text: text).text
    }

    /// An error that has no place in the file.
    init(file: String, _ message: String) {
        problems = [.init(severity: .error, line: 1, column: 1, message: message)]
        description = "\(file): \(message)"
    }
}

/// Problems as text: `FILE:LINE:COLUMN: error: …`, the line, and a caret under the place.
public struct ConfigurationReport: Sendable {
    /// All lines.
    public let text: String

    /// A report on a file's problems.
    ///
    /// - Parameters:
    ///   - problems: In the order of the file.
    ///   - file: As it was named.
    ///   - text: The file's content, whose lines are quoted.
    public init(_ problems: [ConfigurationProblem], file: String, text: String) {
        let source = text.split(separator: "\n", omittingEmptySubsequences: false)
        var lines: [String] = []
        for problem in problems {
            lines.append(
                """
                \(file):\(problem.line):\(problem.column): \(problem.severity.rawValue): \
                \(problem.message)
                """)
            guard source.indices.contains(problem.line - 1) else { continue }
            let number = String(problem.line)
            let quoted = source[problem.line - 1].filter { $0 != "\r" }
            // What is quoted may be anything: keep it to a screen's width and printable.
            let shown = String(quoted.prefix(160).map { $0.isPrintable ? $0 : "?" })
            guard !shown.allSatisfy(\.isWhitespace) else { continue }
            let margin = String(repeating: " ", count: max(0, 5 - number.count)) + number + " | "
            lines.append(margin + shown)
            let room = max(1, shown.count - (problem.column - 1))
            let carets = String(repeating: "^", count: min(problem.length, room))
            lines.append(
                "      | " + String(repeating: " ", count: problem.column - 1) + carets)
        }
        if !problems.isEmpty { lines.append(Self.summary(problems)) }
        self.text = lines.joined(separator: "\n")
    }

    private static func summary(_ problems: [ConfigurationProblem]) -> String {
        func count(_ severity: ConfigurationProblem.Severity) -> String {
            let number = problems.count { $0.severity == severity }
            return "\(number) \(severity.rawValue)\(number == 1 ? "" : "s")"
        }
        return "\(count(.error)), \(count(.warning))"
    }
}

extension Character {
    fileprivate var isPrintable: Bool {
        unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7f }
    }
}
