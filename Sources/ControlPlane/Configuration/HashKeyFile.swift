// SPDX-License-Identifier: Apache-2.0
public import DataPlane
internal import Foundation

/// The file that the hash key is kept in: 32 hexadecimal digits.
public enum HashKeyFile {
    /// Why there is no key.
    public struct Failure: Error, CustomStringConvertible {
        /// What was attempted, on what, the answer, and what to do next.
        public let description: String
    }

    /// The key of a file that the configuration names, or one that is made once and kept.
    ///
    /// - Parameters:
    ///   - path: The file; `nil` means `hash.key` in the state directory, made at the first start.
    ///   - stateDirectory: Where run-time state is kept.
    /// - Returns: The key.
    /// - Throws: When a named file cannot be read or has no key. A state directory that cannot be
    ///   written costs only that the key is another one after a restart.
    public static func load(
        _ path: String?, stateDirectory: String
    ) throws(Failure) -> HashKey {
        if let path { return try read(path) }
        let own = stateDirectory + "/hash.key"
        if FileManager.default.fileExists(atPath: own) { return try read(own) }
        let key = HashKey.random()
        keep(key, at: own, in: stateDirectory)
        return key
    }

    private static func read(_ path: String) throws(Failure) -> HashKey {
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
            throw Failure(
                description: """
                    cannot read the hash key from \(path). Make one with \
                    'head -c 16 /dev/urandom | od -An -tx1 | tr -d " \\n" > \(path)', the same on \
                    every load balancer of a fleet
                    """)
        }
        guard let key = HashKey(hex: text.filter { !$0.isWhitespace }) else {
            throw Failure(
                description: "the hash key in \(path) is not 32 hexadecimal digits (16 bytes)")
        }
        return key
    }

    private static func keep(_ key: HashKey, at path: String, in directory: String) {
        try? FileManager.default.createDirectory(
            atPath: directory, withIntermediateDirectories: true)
        _ = FileManager.default.createFile(
            atPath: path, contents: Data((key.hex + "\n").utf8),
            attributes: [.posixPermissions: 0o600])
    }
}
