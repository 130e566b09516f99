// SPDX-License-Identifier: Apache-2.0
import Foundation

/// A line on standard error that is written over again, for a person only.
struct ProgressLine {
    /// Whether anybody sees it.
    let isShown: Bool

    /// Writes it over the line before.
    func show(_ text: @autoclosure () -> String) {
        if isShown { write("  " + text()) }
    }

    /// Takes it away, so that what follows begins at the left.
    func clear() { if isShown { write("") } }

    private func write(_ text: String) {
        FileHandle.standardError.write(Data("\r\u{1b}[K\(text)".utf8))
    }

    /// As in `[########----------------]`, for a share of 0 to 1.
    static func bar(_ share: Double, width: Int = 24) -> String {
        let full = Int(Double(width) * min(max(share, 0), 1))
        return "[" + String(repeating: "#", count: full)
            + String(repeating: "-", count: width - full) + "]"
    }
}
