// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// Why a capture file cannot be read or written any further.
public struct CaptureFileError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The file, as it was named.
    public let path: String
    /// Byte of the file that it is about; `nil` when it is about the file itself.
    public let offset: UInt64?
    /// What was found, and what was expected.
    public let problem: String
    /// What to do next.
    public let remedy: String

    /// All of it in a line: `FILE: byte N: PROBLEM; REMEDY`.
    public var description: String {
        let place = offset.map { "byte \($0): " } ?? ""
        return "\(path): \(place)\(problem); \(remedy)"
    }

    init(path: String, offset: UInt64? = nil, _ problem: String, remedy: String) {
        self.path = path
        self.offset = offset
        self.problem = problem
        self.remedy = remedy
    }

    /// An error of the system's.
    init(path: String, cannot attempt: String, _ code: Int32, remedy: String) {
        let reason = unsafe strerror(code).map { unsafe String(cString: $0) } ?? "error \(code)"
        self.init(path: path, "cannot \(attempt): \(reason)", remedy: remedy)
    }
}
