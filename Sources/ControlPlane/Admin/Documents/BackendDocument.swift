// SPDX-License-Identifier: Apache-2.0

/// The document `xdplb.backend_list/1`.
package struct BackendListDocument: Codable, Sendable {
    package var schema = "xdplb.backend_list/1"
    package var generation: UInt64
    package var time: String
    package var backends: [BackendDocument]
}

/// A backend in a list.
package struct BackendDocument: Codable, Sendable {
    package var service: String
    package var name: String
    package var address: String
    package var adminState: String
    package var eligible: Bool
    @Nullable package var reason: String?
    /// `unknown`, `healthy` or `unhealthy`; `unknown` when it is not probed.
    package var health: String
    /// Why it is unhealthy.
    @Nullable package var healthReason: String?
    /// The last probe in a few words; `null` when it is not probed.
    @Nullable package var probe: String?
    package var removed: Bool
    package var weight: UInt16
    package var slots: Int
    package var share: Double
    package var packets: UInt64
    package var bytes: UInt64
    package var packetsPerSecond: Double
    package var connections: UInt64
    package var newConnections: UInt64
    @Nullable package var nextHop: String?
    @Nullable package var changedBy: String?
    package var since: String
}

/// The document `xdplb.neighbour_list/1`.
package struct NeighbourListDocument: Codable, Sendable {
    package var schema = "xdplb.neighbour_list/1"
    package var generation: UInt64
    package var time: String
    package var neighbours: [NeighbourDocument]
}

/// A neighbour in a list.
package struct NeighbourDocument: Codable, Sendable {
    package var address: String
    package var interface: String
    @Nullable package var mac: String?
    package var state: String
    package var since: String
    package var backends: [String]
}
