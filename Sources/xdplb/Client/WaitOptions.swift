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

/// Waiting for connections to end.
struct Waiting {
    /// Where it is shown how many are left.
    let progress = ProgressLine(isShown: Terminal.isOutput && Terminal.isError)

    private let subject: String
    private let target: String
    private let client: AdminClient
    private let longest: Double
    private let began = ContinuousClock.now
    private var most = 1

    /// A wait that begins now.
    ///
    /// - Parameters:
    ///   - subject: Whose connections, as it was given.
    ///   - filter: The same as a parameter of a query.
    ///   - client: The daemon.
    ///   - seconds: Longest wait.
    init(
        for subject: String, _ filter: String, client: AdminClient, longest seconds: Double
    ) {
        self.subject = subject
        self.client = client
        target = "/api/v1/connections/count?in_use=true&\(filter)"
        longest = seconds
    }

    private var waited: Double { (ContinuousClock.now - began).inSeconds }

    /// Waits until no connection is left.
    ///
    /// - Throws: ``CommandFailure`` when the time is over.
    mutating func run(until state: String, isJSON: Bool) throws {
        // What the change did is read while the rest is waited for, also through a pipe.
        fflush(nil)
        while true {
            let left = try count()
            if left == 0 {
                progress.clear()
                // With JSON, standard output is that one document.
                let end =
                    "\(subject): \(state), no connection left after \(Scaled.duration(waited))\n"
                if isJSON {
                    FileHandle.standardError.write(Data(end.utf8))
                } else {
                    print(end, terminator: "")
                }
                return
            }
            show(left)
            guard waited < longest else {
                throw expired(
                    left,
                    """
                    It stays as it is; 'xdplb connections list --backend \(subject)' shows them
                    """)
            }
            usleep(200_000)
        }
    }

    /// Shows how many are left, while something else waits for the last.
    ///
    /// - Throws: ``CommandFailure`` with a consequence when the time is over.
    mutating func glance(_ consequence: @autoclosure () -> String) throws {
        let isOver = waited >= longest
        guard isOver || progress.isShown else { return }
        // What is waited for may be gone at this very moment.
        guard let left = try? count() else { return }
        show(left)
        if isOver { throw expired(left, consequence()) }
    }

    private func count() throws -> Int {
        try client.get(ConnectionCountDocument.self, target).count
    }

    private func expired(_ left: Int, _ consequence: String) -> CommandFailure {
        progress.clear()
        return CommandFailure(
            .timedOut,
            "\(subject): \(left) connections are left after \(Scaled.duration(longest)). \(consequence)"
        )
    }

    private mutating func show(_ left: Int) {
        most = max(most, left)
        progress.show(
            "\(ProgressLine.bar(Double(most - left) / Double(most)))  \(left) left   \(Scaled.duration(waited))"
        )
    }
}

extension Duration {
    /// The whole of it in seconds.
    var inSeconds: Double {
        Double(components.seconds) + Double(components.attoseconds) / 1e18
    }
}
