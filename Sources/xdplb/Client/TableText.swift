// SPDX-License-Identifier: Apache-2.0
import Foundation

/// Rows in columns that are as wide as their widest cell, two spaces apart.
struct TableText {
    /// Where the cells of a column stand.
    enum Alignment {
        /// Words.
        case left
        /// Numbers.
        case right
    }

    private let header: [String]
    private let alignments: [Alignment]
    private var rows: [[String]] = []

    /// A table without rows; a column whose title begins with `>` is aligned to the right.
    init(_ columns: String...) {
        header = columns.map { $0.hasPrefix(">") ? String($0.dropFirst()) : $0 }
        alignments = columns.map { $0.hasPrefix(">") ? .right : .left }
    }

    /// Adds a row.
    ///
    /// - Precondition: as many cells as columns.
    mutating func add(_ cells: String...) {
        precondition(cells.count == header.count)
        rows.append(cells)
    }

    /// The table as lines.
    func rendered(withHeader: Bool = true) -> String {
        let all = (withHeader ? [header] : []) + rows
        let widths = header.indices.map { column in all.map { $0[column].count }.max() ?? 0 }
        return all.map { row in
            let cells = row.indices.map { column in
                let padding = String(repeating: " ", count: widths[column] - row[column].count)
                return alignments[column] == .right ? padding + row[column] : row[column] + padding
            }
            let line = cells.joined(separator: "  ")
            return String(line.reversed().drop { $0 == " " }.reversed()) + "\n"
        }.joined()
    }
}

/// Numbers as people read them.
enum Scaled {
    /// Whether standard output is a terminal, and numbers may be rounded.
    static var isTerminal: Bool { isatty(STDOUT_FILENO) == 1 }

    /// `3.91 M` on a terminal, all digits elsewhere.
    static func number(_ value: Double) -> String {
        guard isTerminal else { return String(format: "%.0f", value) }
        for (unit, factor) in [("G", 1e9), ("M", 1e6), ("k", 1e3)] where value >= factor {
            return String(format: "%.3g %@", value / factor, unit)
        }
        return String(format: "%.0f", value)
    }

    /// As in `33.3 %`.
    static func percent(_ share: Double) -> String { String(format: "%.1f %%", share * 100) }

    /// As in `256 MiB`.
    static func bytes(_ count: Int) -> String {
        count >= 1 << 30
            ? String(format: "%.1f GiB", Double(count) / Double(1 << 30)) : "\(count >> 20) MiB"
    }

    /// As in `3d 4h`, `2m 10s`, `0.1s`.
    static func duration(_ seconds: Double) -> String {
        switch seconds {
        case ..<10: String(format: "%.1fs", seconds)
        case ..<60: "\(Int(seconds))s"
        case ..<3600: "\(Int(seconds) / 60)m \(Int(seconds) % 60)s"
        case ..<86400: "\(Int(seconds) / 3600)h \(Int(seconds) % 3600 / 60)m"
        default: "\(Int(seconds) / 86400)d \(Int(seconds) % 86400 / 3600)h"
        }
    }

    /// How long ago a time of a document was.
    static func since(_ time: String) -> String {
        guard let date = try? Date(time, strategy: .iso8601) else { return "?" }
        return duration(max(0, Date().timeIntervalSince(date)))
    }
}
