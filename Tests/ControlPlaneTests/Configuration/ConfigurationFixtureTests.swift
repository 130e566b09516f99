// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import ControlPlane

/// The files in `Fixtures`: each bad one gives exactly the text beside it.
@Suite struct ConfigurationFixtureTests {
    private static let folder = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "Fixtures")

    private static func files(in name: String) throws -> [URL] {
        try FileManager.default.contentsOfDirectory(
            at: folder.appending(path: name), includingPropertiesForKeys: nil
        ).sorted { $0.path < $1.path }
    }

    @Test func `each bad file gives its message, with line and column`() throws {
        let files = try Self.files(in: "bad").filter { $0.pathExtension == "yaml" }
        #expect(files.count > 60)
        for file in files {
            let text = try String(contentsOf: file, encoding: .utf8)
            let problems = ConfigurationReader.read(text).problems
                .sorted { ($0.line, $0.column) < ($1.line, $1.column) }
            let report = ConfigurationReport(problems, file: file.lastPathComponent, text: text)
            let expected = try String(
                contentsOf: file.deletingPathExtension().appendingPathExtension("expected"),
                encoding: .utf8)
            #expect(report.text + "\n" == expected, "\(file.lastPathComponent)")
            #expect(problems.contains { $0.severity == .error }, "\(file.lastPathComponent)")
        }
    }

    @Test func `good files have no error`() throws {
        for file in try Self.files(in: "good") {
            let text = try String(contentsOf: file, encoding: .utf8)
            let result = ConfigurationReader.read(text)
            #expect(result.problems.isEmpty, "\(file.lastPathComponent)")
            #expect(result.configuration != nil, "\(file.lastPathComponent)")
        }
    }

    @Test func `a service that is written and read again is equal`() throws {
        for file in try Self.files(in: "good") {
            let text = try String(contentsOf: file, encoding: .utf8)
            guard var configuration = ConfigurationReader.read(text).configuration else { continue }
            let services = configuration.services
            guard !services.isEmpty else { continue }
            let pools = configuration.snatPools.map { pool in
                let addresses = pool.addresses.map { "\"\($0)\"" }.joined(separator: ", ")
                return "  - {name: \(pool.name), addresses: [\(addresses)]}\n"
            }
            var again = "version: 1\ninterfaces: [{name: eth0}]\n"
            if !pools.isEmpty { again += "snat_pools:\n" + pools.joined() }
            again += "services:\n" + services.map(ConfigurationWriter.yaml).joined()
            let second = ConfigurationReader.read(again)
            #expect(second.problems.isEmpty, "\(file.lastPathComponent): \(again)")
            configuration = try #require(second.configuration)
            #expect(configuration.services == services, "\(file.lastPathComponent)")
        }
    }
}
