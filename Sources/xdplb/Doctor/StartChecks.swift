// SPDX-License-Identifier: Apache-2.0
internal import ControlPlane
internal import Logging

/// What the daemon looks at before it touches the interface.
enum StartChecks {
    /// Makes the checks that are certain and cheap.
    ///
    /// - Throws: ``CommandFailure`` with the first failure; all of them are in the log.
    static func pass(_ configuration: Configuration, log: Logger) throws(CommandFailure) {
        // Without the interface there is nothing to look at, and the start says so.
        guard let subject = DoctorSubject(starting: configuration) else { return }
        let failures = Doctor.examine(subject, Doctor.checksAtStart).filter { $0.level == .fail }
        for finding in failures {
            log.error(
                "\(finding.sentence)",
                metadata: [
                    "event": "check_failed", "check": "\(finding.check)",
                    "remedy": "\(finding.remedy?.sentence ?? "")",
                ])
        }
        guard let first = failures.first else { return }
        let remedy = first.remedy.map { ". \($0.sentence)" } ?? ""
        throw CommandFailure(.refused, "\(first.check): \(first.sentence)\(remedy)")
    }
}
