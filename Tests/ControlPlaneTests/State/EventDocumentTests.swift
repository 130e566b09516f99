// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import ControlPlane

@Suite struct EventDocumentTests {
    private static let project = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()

    @Test func `the manual has every kind of event, and no other`() throws {
        let file = Self.project.appendingPathComponent("docs/operate/events.md")
        let rows = try String(contentsOf: file, encoding: .utf8)
            .split(separator: "\n").filter { $0.hasPrefix("| `") }
        let named = rows.flatMap { row in
            row.split(separator: "|")[0].split(separator: "`").enumerated()
                .filter { $0.offset % 2 == 1 }.map { String($0.element) }
        }
        #expect(Set(named) == Set(EventKind.allCases.map(\.rawValue)))
        #expect(named.count == EventKind.allCases.count)
    }
}
