// SPDX-License-Identifier: Apache-2.0

/// The document `xdplb.service_list/1`.
package struct ServiceListDocument: Codable, Sendable {
    package var schema = "xdplb.service_list/1"
    package var generation: UInt64
    package var time: String
    package var services: [ServiceDocument]
}

/// A service in a list.
package struct ServiceDocument: Codable, Sendable {
    package var name: String
    package var keys: [String]
    package var mode: String
    @Nullable package var snatPool: String?
    package var affinity: String
    package var onNoBackend: String
    /// Prefixes of the clients that are served; empty means all.
    package var sourceRanges: [String]
    package var minimumBackends: Int
    /// Whether it has as many eligible backends as it needs.
    package var up: Bool
    package var eligible: Int
    package var backends: Int
    package var packetsPerSecond: Double
    package var bitsPerSecond: Double
    package var newPerSecond: Double
    package var connections: UInt64
    package var packetsIn: UInt64
    package var packetsOut: UInt64
    package var newConnections: UInt64
}

/// The document `xdplb.service/1`.
package struct ServiceShowDocument: Codable, Sendable {
    package var schema = "xdplb.service/1"
    package var generation: UInt64
    package var time: String
    package var service: ServiceDocument
    package var timeouts: [String: Double]
    package var maglev: MaglevStateDocument
    package var backends: [BackendDocument]
    /// YAML that can be pasted into the file's `services`.
    package var configuration: String
}

/// A Maglev table in a few numbers.
package struct MaglevStateDocument: Codable, Sendable {
    package var slots: Int
    package var fingerprint: String
    package var rebuilds: Int
    package var movedSlots: Int
}

/// The document `xdplb.maglev/1`.
package struct MaglevDocument: Codable, Sendable {
    /// A backend's part of the table.
    package struct Share: Codable, Sendable {
        package var name: String
        package var address: String
        package var weight: UInt16
        package var slots: Int
        package var share: Double
    }

    package var schema = "xdplb.maglev/1"
    package var generation: UInt64
    package var time: String
    package var service: String
    package var slots: Int
    package var fingerprint: String
    package var backends: [Share]
}
