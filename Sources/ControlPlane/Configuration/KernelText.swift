// SPDX-License-Identifier: Apache-2.0
internal import Foundation

/// Small files of /proc and /sys.
public enum KernelText {
    /// The whole file; `nil` when it cannot be read.
    public static func file(_ path: String) -> String? {
        // These files claim to have no size, so they are read to their end.
        guard let handle = FileHandle(forReadingAtPath: path),
            let data = try? handle.readToEnd()
        else { return nil }
        return String(decoding: data, as: UTF8.self)
    }

    /// The file without the blanks at its end.
    public static func line(_ path: String) -> String? {
        file(path)?.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// The file as a number.
    public static func number(_ path: String) -> Int? { line(path).flatMap { Int($0) } }

    /// Names in a folder, in order; none when there is no such folder.
    public static func names(in path: String) -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).sorted()
    }

    /// Numbers of a list such as `0-3,8`.
    public static func numbers(in list: String) -> [Int] {
        list.split(separator: ",").flatMap { part -> [Int] in
            let ends = part.split(separator: "-").compactMap { Int($0) }
            guard let first = ends.first, let last = ends.last, first <= last else { return [] }
            return Array(first...last)
        }
    }

    /// Numbers as such a list: `0-3,8`.
    public static func list(of numbers: [Int]) -> String {
        var ranges: [ClosedRange<Int>] = []
        for number in numbers.sorted() {
            if let last = ranges.last, number == last.upperBound + 1 {
                ranges[ranges.count - 1] = last.lowerBound...number
            } else {
                ranges.append(number...number)
            }
        }
        return ranges.map {
            $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound)-\($0.upperBound)"
        }
        .joined(separator: ",")
    }
}
