// SPDX-License-Identifier: Apache-2.0
import DataPlane
import Foundation
import Testing

@testable import ControlPlane

/// The hash key's file.
@Suite struct HashKeyFileTests {
    /// A folder of its own for a test, removed after it.
    private static func inFolder(_ body: (String) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.appending(
            path: "xdplb-key-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try body(folder.path)
    }

    @Test func `a key that was made once is read again`() throws {
        try Self.inFolder { folder in
            let first = try HashKeyFile.load(nil, stateDirectory: folder)
            #expect(try HashKeyFile.load(nil, stateDirectory: folder) == first)
            #expect(try HashKeyFile.load("\(folder)/hash.key", stateDirectory: "/") == first)
        }
    }

    @Test func `blanks between digits are nothing`() throws {
        try Self.inFolder { folder in
            let path = "\(folder)/key"
            try "00010203 04050607\n08090a0b 0c0d0e0f\n".write(
                toFile: path, atomically: true, encoding: .utf8)
            #expect(
                try HashKeyFile.load(path, stateDirectory: folder) == HashKey(bytes: Array(0...15)))
        }
    }

    @Test(arguments: [
        "", "0123", String(repeating: "+1", count: 16), String(repeating: "g0", count: 16),
        String(repeating: "0", count: 33),
    ])
    func `what is not 32 hexadecimal digits is refused`(text: String) throws {
        try Self.inFolder { folder in
            let path = "\(folder)/key"
            try text.write(toFile: path, atomically: true, encoding: .utf8)
            #expect(throws: HashKeyFile.Failure.self) {
                try HashKeyFile.load(path, stateDirectory: folder)
            }
        }
    }

    @Test func `a key as text is the key again`() throws {
        let key = HashKey.random()
        #expect(HashKey(hex: key.hex) == key && key.hex.utf8.count == 32)
        #expect(HashKey(bytes: Array(0...15))?.hex == "000102030405060708090a0b0c0d0e0f")
    }
}
