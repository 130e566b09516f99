// SPDX-License-Identifier: Apache-2.0

/// Writes metric families in Prometheus' text format, version 0.0.4.
struct PrometheusText {
    /// What a family's numbers mean.
    enum Kind: String {
        /// Only grows.
        case counter
        /// Goes up and down.
        case gauge
        /// Counts by upper bound.
        case histogram
    }

    private(set) var text = ""

    /// Begins a family; its samples follow.
    mutating func family(_ name: String, _ kind: Kind, _ help: String) {
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(kind.rawValue)\n"
    }

    /// Adds a sample.
    mutating func sample(_ name: String, _ labels: [(String, String)] = [], _ value: Double) {
        text += name
        if !labels.isEmpty {
            let pairs = labels.map { "\($0.0)=\"\(Self.escaped($0.1))\"" }
            text += "{\(pairs.joined(separator: ","))}"
        }
        text += " \(Self.number(value))\n"
    }

    /// Adds a sample of a number that may be over what a floating-point number has exactly.
    mutating func sample(_ name: String, _ labels: [(String, String)] = [], _ value: UInt64) {
        sample(name, labels, Double(value))
    }

    /// Adds the samples of a histogram.
    mutating func histogram(
        _ name: String, _ labels: [(String, String)], _ histogram: DurationHistogram
    ) {
        for (bound, count) in zip(histogram.bounds, histogram.cumulativeCounts) {
            sample("\(name)_bucket", labels + [("le", Self.number(bound))], count)
        }
        sample("\(name)_bucket", labels + [("le", "+Inf")], histogram.count)
        sample("\(name)_sum", labels, histogram.sum)
        sample("\(name)_count", labels, histogram.count)
    }

    /// Whole numbers without a fraction, as people expect of counters.
    private static func number(_ value: Double) -> String {
        value == value.rounded() && abs(value) < 1e15 ? String(Int64(value)) : "\(value)"
    }

    private static func escaped(_ text: String) -> String {
        var result = ""
        for character in text {
            switch character {
            case "\\": result += "\\\\"
            case "\"": result += "\\\""
            case "\n": result += "\\n"
            default: result.append(character)
            }
        }
        return result
    }
}
