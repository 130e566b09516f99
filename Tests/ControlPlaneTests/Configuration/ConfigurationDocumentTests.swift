// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import ControlPlane

/// The documents of the file name every key that it may have.
@Suite struct ConfigurationDocumentTests {
    private static func text(_ path: String) throws -> String {
        let root = (0..<4).reduce(URL(filePath: #filePath)) { url, _ in
            url.deletingLastPathComponent()
        }
        return try String(contentsOf: root.appending(path: path), encoding: .utf8)
    }

    private static func words(of text: String) -> Set<String> {
        Set(
            text.split { !($0.isLetter || $0.isNumber || $0 == "_") }.map(String.init))
    }

    /// Keys of all mappings: those that the shipped file has a single value for are put in.
    private static func keys() throws -> Set<String> {
        let file = try text("deploy/xdplb.yaml").replacing(
            "next_hop: auto", with: "next_hop: {ipv4: 192.0.2.1, ipv6: \"2001:db8::9\"}")
        let result = ConfigurationReader.read(file)
        #expect(result.problems.isEmpty, "\(result.problems.map(\.message))")
        // One of each mapping within another, so that none is left out unnoticed.
        for key in [
            "table_size", "tcp_established", "prefix", "next_hop_mac", "ipv6", "usec",
            "reuse_after",
            "status", "admin_state", "dashboard", "read_group",
        ] {
            #expect(result.knownKeys.contains(key), "\(key)")
        }
        return result.knownKeys
    }

    @Test(arguments: ["deploy/xdplb.yaml", "docs/operate/configuration.md"])
    func `every key is in the shipped file and in the manual`(path: String) throws {
        let missing = try Self.keys().subtracting(Self.words(of: try Self.text(path)))
        #expect(missing.isEmpty, "\(path)")
    }

    @Test func `the shipped file says only what is the default, where there is one`() throws {
        let file = try Self.text("deploy/xdplb.yaml")
        let shipped = try #require(ConfigurationReader.read(file).configuration)
        let plain = Configuration(interface: InterfaceConfiguration(name: "ens1f0"))
        let different = ConfigurationKey.differences(from: plain, to: shipped).map(\.name)
        #expect(
            different == [
                "workers.cores", "defaults.maglev.hash_key_file", "node.name", "snat_pools",
            ])
        #expect(shipped.defaultPolicy == plain.defaultPolicy)
    }
}
