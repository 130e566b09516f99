// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import ControlPlane
import Foundation

/// Whether and how long a command waits for connections to end.
struct WaitOptions: ParsableArguments {
    @Flag(help: "Wait until no connection is left.") var wait = false
    @Option(help: ArgumentHelp("Longest wait, such as 5m.", valueName: "time"))
    var timeout = "5m"

    /// Longest wait; `nil` when there is nothing to wait for.
    ///
    /// Read before anything is changed, so that a bad one changes nothing.
    func seconds(isDryRun: Bool) throws(CommandFailure) -> Double? {
        let seconds = try DurationText.seconds(timeout)
        return wait && !isDryRun ? seconds : nil
    }
}

/// Waiting for a backend's connections to end.
struct Waiting {
    /// As it was given.
    let backend: String
    /// What it is in the end.
    let state: String
    let client: AdminClient

    /// Waits until no connection is left.
    ///
    /// - Throws: ``CommandFailure`` when `seconds` are over.
    func run(_ seconds: Double, isJSON: Bool) throws {
        let began = ContinuousClock.now
        let target = "/api/v1/connections/count?in_use=true&backend=\(backend.escapedForURL)"
        var most = 1
        while true {
            let left = try client.get(ConnectionCountDocument.self, target).count
            let waited = (ContinuousClock.now - began).inSeconds
            most = max(most, left)
            show(
                left > 0
                    ? "  \(Self.bar(most - left, of: most))  \(left) left   \(Scaled.duration(waited))"
                    : "")
            if left == 0 {
                // With JSON, standard output is that one document.
                let end =
                    "\(backend): \(state), no connection left after \(Scaled.duration(waited))\n"
                (isJSON ? FileHandle.standardError : .standardOutput).write(Data(end.utf8))
                return
            }
            guard waited < seconds else {
                throw CommandFailure(
                    .timedOut,
                    """
                    \(backend): \(left) connections are left after \(Scaled.duration(seconds)). It \
                    stays as it is; 'xdplb connections list --backend \(backend)' shows them
                    """)
            }
            usleep(200_000)
        }
    }

    /// As in `[########----------------]`.
    static func bar(_ done: Int, of all: Int, width: Int = 24) -> String {
        let full = width * done / max(all, 1)
        return "[" + String(repeating: "#", count: full)
            + String(repeating: "-", count: width - full) + "]"
    }

    /// Writes progress over the line before, for a person only.
    private func show(_ text: String) {
        guard Terminal.isOutput else { return }
        FileHandle.standardError.write(Data("\r\u{1b}[K\(text)".utf8))
    }
}

extension Duration {
    /// The whole of it in seconds.
    fileprivate var inSeconds: Double {
        Double(components.seconds) + Double(components.attoseconds) / 1e18
    }
}
