// SPDX-License-Identifier: Apache-2.0
internal import Foundation

/// A configuration file: its text, what it says, and what may be wrong with it.
public struct ConfigurationFile: Sendable {
    /// Largest file that is read, in bytes.
    public static let maximumByteCount = 8 << 20

    /// As it was named.
    public let path: String
    /// Its content.
    public let text: String
    /// What it says.
    public let configuration: Configuration
    /// Warnings, in the order of the file.
    public let warnings: [ConfigurationProblem]

    /// Reads and checks a file.
    ///
    /// - Parameters:
    ///   - path: The file.
    ///   - host: Facts of this host to check against; `nil` leaves that out.
    /// - Returns: What it says, and warnings.
    /// - Throws: With all that is wrong, when something is.
    public static func load(
        _ path: String, against host: HostFacts? = nil
    ) throws(ConfigurationError) -> ConfigurationFile {
        try read(try contents(of: path), named: path, against: host)
    }

    /// Checks what a file contains; see ``load(_:against:)``.
    public static func read(
        _ text: String, named path: String, against host: HostFacts? = nil
    ) throws(ConfigurationError) -> ConfigurationFile {
        let result = ConfigurationReader.read(text, host: host)
        let problems = result.problems.sorted { ($0.line, $0.column) < ($1.line, $1.column) }
        guard let configuration = result.configuration,
            problems.allSatisfy({ $0.severity == .warning })
        else { throw ConfigurationError(problems, file: path, text: text) }
        return ConfigurationFile(
            path: path, text: text, configuration: configuration, warnings: problems)
    }

    private static func contents(of path: String) throws(ConfigurationError) -> String {
        var isFolder: ObjCBool = false
        guard unsafe FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
            throw ConfigurationError(file: path, "error: there is no such file")
        }
        guard !isFolder.boolValue else {
            throw ConfigurationError(file: path, "error: it is a folder, not a file")
        }
        guard let handle = FileHandle(forReadingAtPath: path) else {
            throw ConfigurationError(file: path, "error: it cannot be read; check its permissions")
        }
        defer { try? handle.close() }
        // One byte more than allowed tells a file that is too large, also one without a size.
        let data = (try? handle.read(upToCount: maximumByteCount + 1)) ?? Data()
        guard data.count <= maximumByteCount else {
            throw ConfigurationError(file: path, "error: it is over 8 MiB, the most that is read")
        }
        guard let text = String(data: data, encoding: .utf8) else {
            throw ConfigurationError(file: path, "error: it is not UTF-8 text")
        }
        return text
    }
}
