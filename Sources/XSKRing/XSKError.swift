// SPDX-License-Identifier: Apache-2.0
internal import CPlatform
internal import Glibc

/// Why something of the kernel's could not be set up.
///
/// Says what was attempted, on what, what the kernel answered, and what to do next.
public struct XSKError: Error, Equatable, CustomStringConvertible {
    /// The kernel's answer; 0 when it was ours.
    public let errno: Int32
    /// All of it, for a person.
    public let description: String

    /// An error of our own finding.
    public init(_ description: String) {
        errno = 0
        self.description = description
    }

    /// An error the kernel answered with.
    ///
    /// - Parameters:
    ///   - attempt: What was attempted, on what: "cannot bind a socket to eth0 queue 3".
    ///   - errno: The kernel's answer, positive.
    ///   - remedy: What it means here and what to do next; empty when nothing is known.
    public init(_ attempt: String, errno: Int32, remedy: String = "") {
        self.errno = errno
        let answer = unsafe String(cString: strerror(errno)).lowercased()
        let next = remedy.isEmpty ? "" : ". \(remedy)"
        description = "\(attempt): \(answer) (\(Self.name(of: errno)))\(next)"
    }

    /// `EBUSY` for 16, and so on.
    public static func name(of errno: Int32) -> String {
        let symbol = unsafe cplatform_error_name(errno)
        return unsafe symbol.map { unsafe String(cString: $0) } ?? "errno \(errno)"
    }
}
