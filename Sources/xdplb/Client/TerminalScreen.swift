// SPDX-License-Identifier: Apache-2.0
import Foundation

/// The alternate screen of a terminal: what stood there before comes back when it is left.
final class TerminalScreen {
    private var before = termios()
    private let hasInput: Bool

    /// Enters the screen; keys are taken one at a time and not shown.
    init() throws {
        hasInput = unsafe isatty(STDIN_FILENO) == 1 && tcgetattr(STDIN_FILENO, &before) == 0
        if hasInput {
            var keys = before
            keys.c_lflag &= ~tcflag_t(ICANON | ECHO)
            // Reading returns at once, with a key or without.
            unsafe withUnsafeMutableBytes(of: &keys.c_cc) { bytes in
                unsafe bytes[Int(VMIN)] = 0
                unsafe bytes[Int(VTIME)] = 0
            }
            _ = unsafe tcsetattr(STDIN_FILENO, TCSANOW, &keys)
        }
        write("\u{1b}[?1049h\u{1b}[?25l")
    }

    /// Puts back what was there before.
    func leave() {
        write("\u{1b}[?25h\u{1b}[?1049l")
        if hasInput { _ = unsafe tcsetattr(STDIN_FILENO, TCSANOW, &before) }
    }

    /// Shows lines, as many and as much of each as fits.
    func show(_ lines: [String]) {
        var size = winsize()
        let isKnown = unsafe ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_row > 0
        let (rows, columns) = isKnown ? (Int(size.ws_row), Int(size.ws_col)) : (24, 80)
        let shown = lines.prefix(rows - 1).map { line in
            Colour.width(of: line) <= columns ? line : String(Colour.plain(line).prefix(columns))
        }
        // Line by line over what was there, so that nothing flickers.
        write(
            "\u{1b}[H" + shown.map { "\($0)\u{1b}[K\r\n" }.joined() + "\u{1b}[J")
    }

    /// Whether `q` was pressed.
    var wasAskedToEnd: Bool {
        guard hasInput else { return false }
        var key: UInt8 = 0
        while unsafe read(STDIN_FILENO, &key, 1) == 1 {
            if key == UInt8(ascii: "q") { return true }
        }
        return false
    }

    private func write(_ text: String) {
        FileHandle.standardOutput.write(Data(text.utf8))
    }
}
