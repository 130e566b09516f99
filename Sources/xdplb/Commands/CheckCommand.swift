// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import ControlPlane

/// The command `xdplb check FILE`.
struct CheckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Check a configuration file, and change nothing.",
        discussion: """
            Prints FILE:LINE:COLUMN with each error and warning. Exits 0 when the file is good, 2 \
            when it has errors, 1 when it has warnings and --strict is given. For example:
              xdplb check /etc/xdplb/xdplb.yaml
            """)

    @Argument(help: "Configuration file.") var file: String
    @Flag(help: "Let warnings fail, too.") var strict = false
    @Flag(help: "Leave out what needs this host: interface, queues, addresses.") var offline = false
    @OptionGroup var output: FormatOptions

    private struct Document: Codable {
        struct Problem: Codable {
            var severity: String
            var line: Int
            var column: Int
            var message: String
        }

        var schema = "xdplb.check/1"
        var file: String
        var problems: [Problem]
    }

    func run() throws {
        do {
            let loaded = try load()
            try report(
                loaded.warnings,
                ConfigurationReport(loaded.warnings, file: file, text: loaded.text).text)
            if output.format == .table, loaded.warnings.isEmpty { print("\(file): good") }
            if strict, !loaded.warnings.isEmpty { throw CommandFailure(.findings, "") }
        } catch let error as ConfigurationError {
            try report(error.problems, error.description)
            throw CommandFailure(.invalid, "")
        }
    }

    private func load() throws -> ConfigurationFile {
        let loaded = try ConfigurationFile.load(file)
        if offline { return loaded }
        return try ConfigurationFile.load(
            file, against: HostFacts.read(for: loaded.configuration))
    }

    private func report(_ problems: [ConfigurationProblem], _ text: String) throws {
        guard output.format == .json else {
            if !text.isEmpty { print(text) }
            return
        }
        let document = Document(
            file: file,
            problems: problems.map {
                .init(
                    severity: $0.severity.rawValue, line: $0.line, column: $0.column,
                    message: $0.message)
            })
        try output.printJSON(document)
    }
}
