// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import xdplb

/// Facts, and the lines that are to follow from them.
struct JudgementCase: CustomTestStringConvertible, Sendable {
    let testDescription: String
    private let check: any DoctorCheck
    private let expected: [String]

    init(_ description: String, _ check: any DoctorCheck, _ expected: String...) {
        testDescription = description
        self.check = check
        self.expected = expected
    }

    /// Judges the facts, and compares.
    func verify(_ location: SourceLocation = #_sourceLocation) {
        let lines = check.findings.map { finding in
            let remedy = finding.remedy.map { " -> \($0.sentence)" } ?? ""
            return "\(finding.level.rawValue) \(finding.check) \(finding.sentence)\(remedy)"
        }
        #expect(lines == expected, sourceLocation: location)
    }
}
