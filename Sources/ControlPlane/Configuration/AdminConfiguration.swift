// SPDX-License-Identifier: Apache-2.0

/// The admin socket.
public struct AdminConfiguration: Equatable, Sendable {
    /// Path of the Unix socket.
    public var socket = "/run/xdplb/admin.sock"
    /// Group that may change things; `nil` means root alone.
    ///
    /// A group that this host does not have lets nobody in.
    public var changeGroup: String? = "xdplb-admin"
    /// Group that may look; `nil` means root alone.
    public var readGroup: String? = "xdplb"
}

/// Where the read-only HTTP server listens.
public struct SocketAddressConfiguration: Equatable, Sendable {
    /// An address, or a name that resolves to one.
    public var host: String
    /// A TCP port; 0 lets the kernel choose.
    public var port: Int

    /// An address of its two parts.
    public init(host: String, port: Int) {
        self.host = host
        self.port = port
    }
}

/// How much is logged.
public enum LogLevel: String, Sendable, CaseIterable {
    /// Everything.
    case debug
    /// Ordinary changes.
    case info
    /// Unusual changes.
    case notice
    /// What may need a person.
    case warning
    /// What failed.
    case error
}

/// How the log is written, and where to.
public enum LogFormat: String, Sendable, CaseIterable {
    /// `key=value` on standard error.
    case logfmt
    /// A JSON object a line on standard error.
    case json
    /// Entries with fields, to systemd's journal.
    case journal
}
