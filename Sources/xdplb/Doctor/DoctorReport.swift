// SPDX-License-Identifier: Apache-2.0
internal import ControlPlane
internal import Foundation

/// What was found, as text, document or script.
struct DoctorReport {
    let subject: DoctorSubject
    let findings: [Finding]
    /// When it was found.
    let time: Date

    private func count(_ level: Finding.Level) -> Int { findings.count { $0.level == level } }

    /// What the command ends with: a failure counts more than warnings, which count when strict.
    func failure(isStrict: Bool) -> CommandFailure? {
        if count(.fail) > 0 { return CommandFailure(.invalid, "") }
        return isStrict && count(.warn) > 0 ? CommandFailure(.findings, "") : nil
    }

    // MARK: Text

    /// Columns in which a line with its remedy should find room.
    private static let width = 140
    private static let levelWidth = 4
    private static let checkWidth = 10

    /// For a person.
    var text: String {
        ([headline] + findings.map(Self.line) + [summary]).joined(separator: "\n")
    }

    private var headline: String {
        let node = subject.configuration.nodeName ?? ProcessInfo.processInfo.hostName
        let source =
            switch subject.source {
            case .file(let path): path
            case .daemon: "the running daemon"
            case .none: "no configuration"
            }
        let minute = Date.VerbatimFormatStyle(
            format: """
                \(year: .defaultDigits)-\(month: .twoDigits)-\(day: .twoDigits) \
                \(hour: .twoDigits(clock: .twentyFourHour, hourCycle: .zeroBased)):\
                \(minute: .twoDigits)
                """, timeZone: .gmt, calendar: Calendar(identifier: .gregorian))
        return "xdplb doctor, \(node), \(time.formatted(minute)) UTC, \(subject.name), \(source)"
    }

    private static func line(_ finding: Finding) -> String {
        let level = finding.level.rawValue.padded(to: levelWidth)
        let coloured =
            switch finding.level {
            case .fail: Colour.bad(level)
            case .warn: Colour.unusual(level)
            case .ok, .info: level
            }
        let check = finding.check.padded(to: checkWidth)
        let indent = String(repeating: " ", count: levelWidth + checkWidth + 6)
        let sentence = finding.sentence.replacingOccurrences(of: "\n", with: "\n" + indent)
        let line = "  \(coloured)  \(check)  \(sentence)"
        guard let remedy = finding.remedy else { return line }
        let isShort = Colour.width(of: line) + remedy.sentence.count + 5 <= width
        return line + (isShort && remedy.host == nil ? "  -> " : "\n\(indent)-> ") + remedy.sentence
    }

    private var summary: String {
        let failures = count(.fail)
        let warnings = count(.warn)
        let hasScript = findings.contains { $0.remedy != nil }
        return """
            \(failures) failure\(failures == 1 ? "" : "s"), \
            \(warnings) warning\(warnings == 1 ? "" : "s"); nothing was changed.\
            \(hasScript ? " `xdplb doctor --fix` prints a script." : "")
            """
    }

    // MARK: Script

    /// A shell script of all remedies, in which those that are not this host's are comments.
    var script: String {
        var lines = [
            "#!/bin/sh",
            "# What 'xdplb doctor' found on \(subject.name); read it before running it.",
            "set -eu",
        ]
        for finding in findings {
            guard let remedy = finding.remedy else { continue }
            lines += [
                "", comment("\(finding.level.rawValue) \(finding.check): \(finding.sentence)"),
            ]
            // Once for all findings that it mends.
            let commands = remedy.commands.filter { !lines.contains($0) }
            lines += remedy.commands.isEmpty ? [comment("by hand, \(remedy.sentence)")] : commands
        }
        if lines.count == 3 { lines += ["", "# Nothing to mend."] }
        return lines.joined(separator: "\n")
    }

    private func comment(_ text: String) -> String {
        "# " + text.replacingOccurrences(of: "\n", with: "\n# ")
    }

    // MARK: Document

    /// For programs.
    var document: DoctorDocument {
        DoctorDocument(
            time: time.formatted(.iso8601),
            node: subject.configuration.nodeName ?? ProcessInfo.processInfo.hostName,
            interface: subject.name,
            configuration: { if case .file(let path) = subject.source { path } else { nil } }(),
            daemon: subject.running != nil, failures: count(.fail), warnings: count(.warn),
            findings: findings.map(DoctorDocument.Line.init))
    }
}

/// The document `xdplb.doctor/1`.
struct DoctorDocument: Codable {
    /// One of them.
    struct Line: Codable {
        /// `ok`, `info`, `warn` or `fail`.
        var level: String
        var check: String
        var fact: String
        @Nullable var consequence: String?
        @Nullable var remedy: String?
        /// Commands of the remedy that are this host's.
        var commands: [String]
        /// The host on which the remedy is to be done; `null` for this one.
        @Nullable var host: String?

        init(_ finding: Finding) {
            level = finding.level.rawValue.lowercased()
            check = finding.check
            fact = finding.fact
            consequence = finding.consequence.isEmpty ? nil : finding.consequence
            remedy = finding.remedy?.text
            commands = finding.remedy?.commands ?? []
            host = finding.remedy?.host
        }
    }

    var schema = "xdplb.doctor/1"
    var time: String
    var node: String
    var interface: String
    /// The file; `null` when the daemon was asked, or only the interface was looked at.
    @Nullable var configuration: String?
    /// Whether a daemon runs on the interface.
    var daemon: Bool
    var failures: Int
    var warnings: Int
    var findings: [Line]
}

extension String {
    /// With blanks at the end, so that it is as wide.
    fileprivate func padded(to width: Int) -> String {
        self + String(repeating: " ", count: max(0, width - count))
    }
}
