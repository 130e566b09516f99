// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Foundation

/// Whether a read is repeated.
struct WatchOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Repeat it so often, such as 1s, until Ctrl-C.", valueName: "time"))
    var watch: String?

    /// Least pause between two reads.
    private static let least = 0.1

    /// Reads once, or again and again until Ctrl-C: over what was on the terminal, below it where
    /// there is none.
    ///
    /// - Throws: ``CommandFailure`` of the read, and for a pause that is no duration.
    func callAsFunction(_ read: () throws -> Void) throws {
        guard let watch else { return try read() }
        let seconds = max(try DurationText.seconds(watch), Self.least)
        Interrupt.watch()
        while !Interrupt.wasAsked {
            // From the top, and the rest of the screen away.
            if Terminal.isOutput { print("\u{1b}[H\u{1b}[2J", terminator: "") }
            try read()
            flush()
            pause(seconds)
        }
    }

    /// Waits, in steps short enough that a signal is not missed by much.
    private func pause(_ seconds: Double) {
        let end = ContinuousClock.now + .seconds(seconds)
        while !Interrupt.wasAsked, ContinuousClock.now < end { usleep(20_000) }
    }

    /// Whoever reads a pipe wants it now.
    private func flush() { _ = unsafe fflush(nil) }
}
