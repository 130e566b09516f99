// SPDX-License-Identifier: Apache-2.0
import ArgumentParser

/// The command `xdplb upgrade` of a later version: refused by name, not as a mistyped word.
struct UpgradeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "upgrade", abstract: "Not in this version.", shouldDisplay: false)

    @Argument(parsing: .captureForPassthrough) var arguments: [String] = []

    func run() throws {
        throw CommandFailure(
            .invalid,
            """
            'upgrade' is not in this version, and nothing was changed. To run another binary, \
            install it and restart the daemon ('systemctl restart xdplb'): tracked connections end
            """)
    }
}
