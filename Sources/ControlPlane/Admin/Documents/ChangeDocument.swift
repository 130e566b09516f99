// SPDX-License-Identifier: Apache-2.0

/// The document `xdplb.change/1`.
package struct ChangeDocument: Codable, Sendable {
    package var schema = "xdplb.change/1"
    package var generation: UInt64
    package var time: String
    package var lines: [String]
    package var dryRun: Bool
    package var workers: Int
    package var tookMs: Double
    package var movedSlots: Int
    package var endedConnections: Int
}

/// The body of every answer that is a refusal.
package struct ErrorDocument: Codable, Sendable {
    /// What is wrong.
    package struct Detail: Codable, Sendable {
        package var code: String
        package var message: String
        package var `where`: String?
    }

    package var error: Detail
}

/// The body of a change; a member that it does not know is refused, as a misspelt one would be
/// passed over otherwise.
package protocol ChangeBody: Codable, Sendable {
    /// Members it knows, as they are written.
    static var members: Set<String> { get }
}

/// The body of `PUT /api/v1/services/{s}`.
package struct ServiceUpdateBody: ChangeBody {
    package static let members: Set = [
        "backends", "name", "mode", "snat_pool", "drain_timeout_seconds",
    ]

    package var backends: [String]
    package var name: String?
    package var mode: String?
    package var snatPool: String?
    package var drainTimeoutSeconds: Double?

    /// A body of its parts.
    package init(
        backends: [String], name: String? = nil, mode: String? = nil, snatPool: String? = nil,
        drainTimeoutSeconds: Double? = nil
    ) {
        self.backends = backends
        self.name = name
        self.mode = mode
        self.snatPool = snatPool
        self.drainTimeoutSeconds = drainTimeoutSeconds
    }
}

/// The body of `PUT /api/v1/services/{s}/mode`.
package struct ModeBody: ChangeBody {
    package static let members: Set = ["mode"]

    package var mode: String

    /// A body of its part.
    package init(mode: String) { self.mode = mode }
}

/// `PATCH /api/v1/services/{s}/backends/{b}`: one of the two.
package struct BackendBody: ChangeBody {
    package static let members: Set = ["admin_state", "weight"]

    package var adminState: String?
    package var weight: Int?

    /// A body of its parts.
    package init(adminState: String? = nil, weight: Int? = nil) {
        self.adminState = adminState
        self.weight = weight
    }
}
