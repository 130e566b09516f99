// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// Why the kernel did not answer a request on routes, links, addresses or neighbours.
public struct NetlinkError: Error, Equatable, CustomStringConvertible {
    /// What kind of failure.
    public enum Kind: Equatable, Sendable {
        /// A system call failed; its error number.
        case system(Int32)
        /// The kernel refused the request; its error number.
        case refused(Int32)
        /// The kernel dropped events because they were not read in time: what is known is stale,
        /// and everything is to be asked for again.
        case overrun
        /// A message contradicts its own length.
        case malformed
    }

    /// What kind of failure.
    public let kind: Kind
    /// What was attempted, and the kernel's own words when it had some (NLMSGERR_ATTR_MSG).
    public let description: String

    init(_ kind: Kind, _ attempt: String, kernel words: String? = nil) {
        self.kind = kind
        let answer =
            switch kind {
            case .system(let error), .refused(let error):
                unsafe String(cString: strerror(error)).lowercased()
            case .overrun: "the kernel dropped events that were not read in time"
            case .malformed: "the kernel's message contradicts its length"
            }
        description = "\(attempt): \(answer)" + (words.map { " (\($0))" } ?? "")
    }
}
