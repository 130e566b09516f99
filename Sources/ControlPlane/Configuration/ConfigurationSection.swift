// SPDX-License-Identifier: Apache-2.0
internal import DataPlane
internal import Yams

/// Collects what is wrong while a file is read; the reading goes on to find all of it.
final class ConfigurationProblems {
    private(set) var all: [ConfigurationProblem] = []
    /// Keys that the mappings read so far may have: what documents of the file must name.
    fileprivate(set) var knownKeys: Set<String> = []

    func error(_ node: Node, _ message: String) { add(.error, node, message) }

    func warning(_ node: Node, _ message: String) { add(.warning, node, message) }

    private func add(_ severity: ConfigurationProblem.Severity, _ node: Node, _ message: String) {
        all.append(
            ConfigurationProblem(
                severity: severity, line: node.mark?.line ?? 1, column: node.mark?.column ?? 1,
                length: node.scalar?.string.count ?? 1, message: message))
    }

    func add(_ problem: ConfigurationProblem) { all.append(problem) }
}

/// A mapping whose keys are known: each value is taken with the type that its key wants.
///
/// YAML's own guesses play no part: a scalar is the text that was written.
struct ConfigurationSection {
    /// What a key that is not in this version belongs to.
    static let notInThisVersion = "is not in this version"

    /// The mapping itself, for problems that concern all of it.
    let node: Node
    let problems: ConfigurationProblems
    private let noun: String
    private var values: [String: (key: Node, value: Node)] = [:]

    /// Takes a mapping; `nil`, with a problem noted, when the node is none.
    ///
    /// - Parameters:
    ///   - node: The mapping.
    ///   - noun: What the mapping is, with its article: "a backend".
    ///   - keys: Keys it may have.
    ///   - later: Keys of a later version, which are refused as such.
    ///   - problems: Where problems are noted.
    init?(
        _ node: Node, _ noun: String, keys: [String], later: [String] = [],
        _ problems: ConfigurationProblems
    ) {
        guard let mapping = node.mapping else {
            problems.error(node, "\(noun) must be a mapping of keys to values")
            return nil
        }
        self.node = node
        self.noun = noun
        self.problems = problems
        problems.knownKeys.formUnion(keys)
        for (key, value) in mapping {
            guard let name = key.scalar?.string else {
                problems.error(key, "a key of \(noun) must be a word")
                continue
            }
            if later.contains(name) {
                problems.error(key, "'\(name)' in \(noun) \(Self.notInThisVersion)")
            } else if keys.contains(name) {
                values[name] = (key, value)
            } else {
                let near = Spelling.nearest(to: name, among: keys + later)
                let hint = near.map { " (did you mean '\($0)'?)" } ?? ""
                problems.error(key, "unknown key '\(name)' in \(noun)\(hint)")
            }
        }
    }

    func has(_ key: String) -> Bool { values[key] != nil }

    func value(_ key: String) -> Node? { values[key]?.value }

    /// The key's own node, or the mapping when it is not there.
    func place(_ key: String) -> Node { values[key]?.key ?? node }

    // MARK: Scalars

    /// The text of a key; `nil` when it is not there or no scalar.
    func text(_ key: String) -> (node: Node, text: String)? {
        guard let node = value(key) else { return nil }
        guard let scalar = node.scalar else {
            problems.error(node, "'\(key)' must be a single value")
            return nil
        }
        return (node, scalar.string)
    }

    /// Takes a value that a parser accepts; otherwise notes what was expected.
    func parsed<Value>(
        _ key: String, _ expected: String, _ parse: (String) -> Value?
    ) -> Value? {
        guard let (node, text) = text(key) else { return nil }
        if let value = parse(text) { return value }
        problems.error(node, "\(key) '\(text)' is not \(expected)")
        return nil
    }

    func integer(_ key: String, in range: ClosedRange<Int>) -> Int? {
        guard let (node, text) = text(key) else { return nil }
        guard let number = Self.integer(text) else {
            problems.error(node, "\(key) '\(text)' is not a whole number")
            return nil
        }
        guard range.contains(number) else {
            problems.error(
                node, "\(key) \(number) is outside \(range.lowerBound)...\(range.upperBound)")
            return nil
        }
        return number
    }

    func powerOfTwo(_ key: String, in range: ClosedRange<Int>) -> Int? {
        guard let number = integer(key, in: range) else { return nil }
        guard number & (number - 1) == 0 else {
            problems.error(value(key) ?? node, "\(key) \(number) is not a power of two")
            return nil
        }
        return number
    }

    func choice<Choice: RawRepresentable & CaseIterable>(
        _ key: String, _ type: Choice.Type
    ) -> Choice? where Choice.RawValue == String {
        let words = Choice.allCases.map(\.rawValue).joined(separator: ", ")
        return parsed(key, "one of \(words)") { Choice(rawValue: $0) }
    }

    func duration(_ key: String) -> Duration? {
        parsed(key, "a duration with its unit, such as 250ms, 2s, 5m or 1h", Self.duration)
    }

    /// Takes a key whose only allowed value is the behaviour of this version.
    func only(_ key: String, _ allowed: String...) {
        guard let (node, text) = text(key), !allowed.contains(text) else { return }
        problems.error(node, "\(key) '\(text)' \(Self.notInThisVersion) (only \(allowed[0]) is)")
    }

    /// The elements of a list; a problem is noted when it is none.
    func list(_ key: String) -> [Node]? {
        guard let node = value(key) else { return nil }
        guard let sequence = node.sequence else {
            problems.error(node, "'\(key)' must be a list")
            return nil
        }
        return Array(sequence)
    }

    /// Notes that a key is missing; says whether it is there.
    func requires(_ key: String) -> Bool {
        if has(key) { return true }
        problems.error(node, "\(noun) needs '\(key)'")
        return false
    }

    /// Digits, and a minus sign for what is then out of range.
    static func integer(_ text: String) -> Int? {
        let digits = text.hasPrefix("-") ? text.dropFirst() : text[...]
        guard !digits.isEmpty, digits.allSatisfy({ $0.isASCII && $0.isNumber }) else { return nil }
        return Int(text)
    }

    static func duration(_ text: String) -> Duration? {
        for (unit, milliseconds) in [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)]
        where text.hasSuffix(unit) {
            guard let number = integer(String(text.dropLast(unit.count))), number >= 0 else {
                continue
            }
            let (product, overflow) = number.multipliedReportingOverflow(by: milliseconds)
            return overflow || product > Int(Int32.max) ? nil : .milliseconds(product)
        }
        return nil
    }
}

/// Finds the word that was meant.
enum Spelling {
    /// The nearest of some words, if it is near enough to have been meant.
    static func nearest(to word: String, among words: [String]) -> String? {
        let limit = max(1, word.count / 3)
        let found = words.map { (distance(word, $0), $0) }.min { $0.0 < $1.0 }
        return found.flatMap { $0.0 <= limit + 1 && word.count < 64 ? $0.1 : nil }
    }

    /// Insertions, deletions, changes and swaps of neighbours that make one word the other
    /// (the restricted Damerau–Levenshtein distance).
    static func distance(_ left: String, _ right: String) -> Int {
        let left = Array(left.prefix(64))
        let right = Array(right.prefix(64))
        var before = [Int](repeating: 0, count: right.count + 1)
        var row = Array(0...right.count)
        for (i, a) in left.enumerated() {
            var next = [i + 1]
            for (j, b) in right.enumerated() {
                var cost = min(row[j] + (a == b ? 0 : 1), row[j + 1] + 1, next[j] + 1)
                if i > 0, j > 0, a == right[j - 1], left[i - 1] == b {
                    cost = min(cost, before[j - 1] + 1)
                }
                next.append(cost)
            }
            before = row
            row = next
        }
        return row[right.count]
    }
}
