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
        let widths = header.indices.map { column in
            all.map { Colour.width(of: $0[column]) }.max() ?? 0
        }
        return all.map { row in
            let cells = row.indices.map { column in
                let missing = widths[column] - Colour.width(of: row[column])
                let padding = String(repeating: " ", count: missing)
                return alignments[column] == .right ? padding + row[column] : row[column] + padding
            }
            let line = cells.joined(separator: "  ")
            return String(line.reversed().drop { $0 == " " }.reversed()) + "\n"
        }.joined()
    }
}
