// SPDX-License-Identifier: Apache-2.0
internal import DataPlane
internal import Yams

/// Reads a configuration from YAML, and notes all that is wrong with it at once.
///
/// Walks the nodes, not decoded values, so that everything keeps its line and column.
enum ConfigurationReader {
    /// Most uses of anchors: a few lines of them can stand for millions of nodes.
    static let maximumAliases = 1000

    /// What a file says; `configuration` is `nil` when too little could be understood.
    struct Result {
        var configuration: Configuration?
        var problems: [ConfigurationProblem]
        /// Keys that the mappings of the file may have.
        var knownKeys: Set<String> = []
    }

    /// Reads a configuration.
    ///
    /// - Parameters:
    ///   - text: The file's content.
    ///   - host: Facts of this host to check against; `nil` leaves that out.
    /// - Returns: What it says, and what is wrong with it.
    static func read(_ text: String, host: HostFacts? = nil) -> Result {
        let problems = ConfigurationProblems()
        guard let root = compose(text, problems) else {
            return Result(configuration: nil, problems: problems.all)
        }
        let configuration = DocumentReader(problems).read(root, host: host)
        return Result(
            configuration: configuration, problems: problems.all, knownKeys: problems.knownKeys)
    }

    private static func compose(_ text: String, _ problems: ConfigurationProblems) -> Node? {
        func note(_ line: Int, _ column: Int, _ message: String) {
            problems.add(
                .init(severity: .error, line: line, column: max(column, 1), message: message))
        }
        if aliasCount(text) > maximumAliases {
            note(1, 1, "more than \(maximumAliases) aliases (*name) are used")
            return nil
        }
        do {
            if let root = try Yams.compose(yaml: text) { return root }
            note(1, 1, "the file is empty; 'version: 1' and 'interfaces' are needed")
        } catch let error as YamlError {
            switch error {
            case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
                .composer(_, let problem, let mark, _):
                note(mark.line, mark.column, "invalid YAML: \(problem)")
            case .duplicatedKeysInMapping(let duplicates, let context):
                let key = duplicates.first ?? ""
                let place = second(key, in: text, from: context.mark)
                note(place.line, place.column, "key '\(key)' is given twice")
            case .reader(let problem, _, _, _): note(1, 1, "invalid YAML: \(problem)")
            default: note(1, 1, "invalid YAML: \(error)")
            }
        } catch {
            note(1, 1, "invalid YAML: \(error)")
        }
        return nil
    }

    /// Words that begin with `*` where a value may begin.
    private static func aliasCount(_ text: String) -> Int {
        var count = 0
        var before: UInt8 = UInt8(ascii: "\n")
        for byte in text.utf8 {
            if byte == UInt8(ascii: "*"), " \n\t[{,:-".utf8.contains(before) { count += 1 }
            before = byte
        }
        return count
    }

    /// Where a key stands for the second time, from the place of its mapping on.
    private static func second(
        _ key: String, in text: String, from mark: Mark
    ) -> (line: Int, column: Int) {
        // A key of nothing but what surrounds keys is everywhere, so its place can't be told.
        guard !key.allSatisfy({ " \"'".contains($0) }) else { return (mark.line, mark.column) }
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        var seen = 0
        for (index, line) in lines.enumerated() where index + 1 >= mark.line {
            var rest = line[...]
            while let range = rest.firstRange(of: key) {
                let after = line[range.upperBound...].drop { $0 == "\"" || $0 == "'" || $0 == " " }
                let isWord =
                    range.lowerBound == line.startIndex
                    || !(line[line.index(before: range.lowerBound)].isLetter)
                if after.first == ":", isWord {
                    seen += 1
                    if seen == 2 {
                        let column = line.distance(from: line.startIndex, to: range.lowerBound) + 1
                        return (index + 1, column)
                    }
                }
                rest = line[range.upperBound...]
            }
        }
        return (mark.line, mark.column)
    }
}
