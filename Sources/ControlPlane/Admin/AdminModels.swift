// SPDX-License-Identifier: Apache-2.0

// The documents of the admin API: what `-o json` prints. Keys are in snake case on the wire, a
// key is added and never redefined. Bytes, seconds and plain numbers; times are ISO 8601 in UTC.

/// The document `xdplb.status/1`.
package struct StatusDocument: Codable, Sendable {
    package var schema = "xdplb.status/1"
    package var generation: UInt64
    package var time: String
    package var state: String
    package var ready: Bool
    package var version: String
    package var node: String
    package var uptimeSeconds: Double
    package var appliedAt: String
    package var interface: InterfaceDocument
    package var workers: [WorkerDocument]
    package var services: [ServiceStateDocument]
    package var problems: [String]
    package var drops: [String: UInt64]
    package var connections: TableDocument
    package var memory: MemoryDocument
    /// `same`, `differs` or `none`.
    package var file: String
}

/// The interface, as part of a status.
package struct InterfaceDocument: Codable, Sendable {
    package var name: String
    package var driver: String
    package var attachMode: String
    package var bindMode: String
    package var queues: [Int]
    package var rxPackets: UInt64
    package var txPackets: UInt64
    package var xdp: SteeringDocument
    package var ringLosses: UInt64
}

/// Verdicts of the steering program.
package struct SteeringDocument: Codable, Sendable {
    package var redirect: UInt64
    package var pass: UInt64
    package var noSocket: UInt64
}

/// A worker, as part of a status.
package struct WorkerDocument: Codable, Sendable {
    package var worker: Int
    package var queue: Int
    package var cpu: Int?
    package var generation: UInt64
    package var rxPackets: UInt64
    package var txPackets: UInt64
    package var handedOff: UInt64
    package var busyShare: Double
    package var packetsPerBatch: Double
    package var packetsPerWakeup: Double
    package var chunks: [String: Int]
}

/// A service's health in one line, as part of a status.
package struct ServiceStateDocument: Codable, Sendable {
    package var name: String
    package var eligible: Int
    package var backends: Int
}

/// Entries of the connection tables.
package struct TableDocument: Codable, Sendable {
    package var used: UInt64
    package var capacity: UInt64
}

/// Memory that is fixed at the start.
package struct MemoryDocument: Codable, Sendable {
    package var umemBytes: Int
    package var tableBytes: Int
    package var hugePages: Bool
    package var numaNode: Int?
}

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
    package var snatPool: String?
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
    package var reason: String?
    package var removed: Bool
    package var weight: UInt16
    package var slots: Int
    package var share: Double
    package var packets: UInt64
    package var bytes: UInt64
    package var packetsPerSecond: Double
    package var connections: UInt64
    package var newConnections: UInt64
    package var nextHop: String?
    package var changedBy: String?
    package var since: String
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

/// The document `xdplb.connection_list/1`.
package struct ConnectionListDocument: Codable, Sendable {
    package var schema = "xdplb.connection_list/1"
    package var generation: UInt64
    package var time: String
    /// Connections that match, of which the list has the first.
    package var matched: Int
    package var connections: [ConnectionDocument]
}

/// A connection in a list.
package struct ConnectionDocument: Codable, Sendable {
    package var client: String
    package var vip: String
    package var service: String
    package var backend: String
    package var backendAddress: String
    package var mode: String
    package var state: String
    package var snat: String?
    package var ageSeconds: Double
    package var idleSeconds: Double
    package var packets: UInt32
    package var worker: Int
}

/// The document `xdplb.connection_count/1`.
package struct ConnectionCountDocument: Codable, Sendable {
    package var schema = "xdplb.connection_count/1"
    package var generation: UInt64
    package var time: String
    package var count: Int
}

/// The document `xdplb.flush/1`.
package struct FlushDocument: Codable, Sendable {
    package var schema = "xdplb.flush/1"
    package var generation: UInt64
    package var time: String
    package var ended: Int
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
    package var mac: String?
    package var state: String
    package var since: String
    package var backends: [String]
}

/// The document `xdplb.drops/1`.
package struct DropsDocument: Codable, Sendable {
    /// A reason.
    package struct Reason: Codable, Sendable {
        package var reason: String
        package var perSecond: Double
        package var total: UInt64
    }

    package var schema = "xdplb.drops/1"
    package var generation: UInt64
    package var time: String
    package var drops: [Reason]
}

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

// Bodies of changes.

/// The body of `PUT /api/v1/services/{s}`.
package struct ServiceUpdateBody: Codable, Sendable {
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
package struct ModeBody: Codable, Sendable {
    package var mode: String

    /// A body of its part.
    package init(mode: String) { self.mode = mode }
}

/// `PATCH /api/v1/services/{s}/backends/{b}`: one of the two.
package struct BackendBody: Codable, Sendable {
    package var adminState: String?
    package var weight: Int?

    /// A body of its parts.
    package init(adminState: String? = nil, weight: Int? = nil) {
        self.adminState = adminState
        self.weight = weight
    }
}
