// SPDX-License-Identifier: Apache-2.0

// The documents of the admin API: what `-o json` prints. Keys are in snake case on the wire, a
// key is added and never redefined. Bytes, seconds and plain numbers; times are ISO 8601 in UTC.

/// `xdplb.status/1`
public struct StatusDocument: Codable, Sendable {
    public var schema = "xdplb.status/1"
    public var generation: UInt64
    public var time: String
    public var state: String
    public var ready: Bool
    public var version: String
    public var node: String
    public var uptimeSeconds: Double
    public var appliedAt: String
    public var interface: InterfaceDocument
    public var workers: [WorkerDocument]
    public var services: [ServiceStateDocument]
    public var problems: [String]
    public var drops: [String: UInt64]
    public var connections: TableDocument
    public var memory: MemoryDocument
    /// `same`, `differs` or `none`.
    public var file: String
}

/// The interface, as part of a status.
public struct InterfaceDocument: Codable, Sendable {
    public var name: String
    public var driver: String
    public var attachMode: String
    public var bindMode: String
    public var queues: [Int]
    public var rxPackets: UInt64
    public var txPackets: UInt64
    public var xdp: SteeringDocument
    public var ringLosses: UInt64
}

/// Verdicts of the steering program.
public struct SteeringDocument: Codable, Sendable {
    public var redirect: UInt64
    public var pass: UInt64
    public var noSocket: UInt64
}

/// A worker, as part of a status.
public struct WorkerDocument: Codable, Sendable {
    public var worker: Int
    public var queue: Int
    public var cpu: Int?
    public var generation: UInt64
    public var rxPackets: UInt64
    public var txPackets: UInt64
    public var handedOff: UInt64
    public var busyShare: Double
    public var packetsPerBatch: Double
    public var packetsPerWakeup: Double
    public var chunks: [String: Int]
}

/// A service's health in one line, as part of a status.
public struct ServiceStateDocument: Codable, Sendable {
    public var name: String
    public var eligible: Int
    public var backends: Int
}

/// Entries of the connection tables.
public struct TableDocument: Codable, Sendable {
    public var used: UInt64
    public var capacity: UInt64
}

/// Memory that is fixed at the start.
public struct MemoryDocument: Codable, Sendable {
    public var umemBytes: Int
    public var tableBytes: Int
    public var hugePages: Bool
    public var numaNode: Int?
}

/// `xdplb.service_list/1`
public struct ServiceListDocument: Codable, Sendable {
    public var schema = "xdplb.service_list/1"
    public var generation: UInt64
    public var time: String
    public var services: [ServiceDocument]
}

/// A service in a list.
public struct ServiceDocument: Codable, Sendable {
    public var name: String
    public var keys: [String]
    public var mode: String
    public var snatPool: String?
    public var eligible: Int
    public var backends: Int
    public var packetsPerSecond: Double
    public var bitsPerSecond: Double
    public var newPerSecond: Double
    public var connections: UInt64
    public var packetsIn: UInt64
    public var packetsOut: UInt64
    public var newConnections: UInt64
}

/// `xdplb.service/1`
public struct ServiceShowDocument: Codable, Sendable {
    public var schema = "xdplb.service/1"
    public var generation: UInt64
    public var time: String
    public var service: ServiceDocument
    public var timeouts: [String: Double]
    public var maglev: MaglevStateDocument
    public var backends: [BackendDocument]
    /// YAML that can be pasted into the file's `services`.
    public var configuration: String
}

/// A Maglev table in a few numbers.
public struct MaglevStateDocument: Codable, Sendable {
    public var slots: Int
    public var fingerprint: String
    public var rebuilds: Int
    public var movedSlots: Int
}

/// `xdplb.backend_list/1`
public struct BackendListDocument: Codable, Sendable {
    public var schema = "xdplb.backend_list/1"
    public var generation: UInt64
    public var time: String
    public var backends: [BackendDocument]
}

/// A backend in a list.
public struct BackendDocument: Codable, Sendable {
    public var service: String
    public var name: String
    public var address: String
    public var adminState: String
    public var eligible: Bool
    public var reason: String?
    public var removed: Bool
    public var weight: UInt16
    public var slots: Int
    public var share: Double
    public var packets: UInt64
    public var bytes: UInt64
    public var packetsPerSecond: Double
    public var connections: UInt64
    public var newConnections: UInt64
    public var nextHop: String?
    public var changedBy: String?
    public var since: String
}

/// `xdplb.maglev/1`
public struct MaglevDocument: Codable, Sendable {
    /// A backend's part of the table.
    public struct Share: Codable, Sendable {
        public var name: String
        public var address: String
        public var weight: UInt16
        public var slots: Int
        public var share: Double
    }

    public var schema = "xdplb.maglev/1"
    public var generation: UInt64
    public var time: String
    public var service: String
    public var slots: Int
    public var fingerprint: String
    public var backends: [Share]
}

/// `xdplb.connection_list/1`
public struct ConnectionListDocument: Codable, Sendable {
    public var schema = "xdplb.connection_list/1"
    public var generation: UInt64
    public var time: String
    /// Connections that match, of which the list has the first.
    public var matched: Int
    public var connections: [ConnectionDocument]
}

/// A connection in a list.
public struct ConnectionDocument: Codable, Sendable {
    public var client: String
    public var vip: String
    public var service: String
    public var backend: String
    public var backendAddress: String
    public var mode: String
    public var state: String
    public var snat: String?
    public var ageSeconds: Double
    public var idleSeconds: Double
    public var packets: UInt32
    public var worker: Int
}

/// `xdplb.connection_count/1`
public struct ConnectionCountDocument: Codable, Sendable {
    public var schema = "xdplb.connection_count/1"
    public var generation: UInt64
    public var time: String
    public var count: Int
}

/// `xdplb.flush/1`
public struct FlushDocument: Codable, Sendable {
    public var schema = "xdplb.flush/1"
    public var generation: UInt64
    public var time: String
    public var ended: Int
}

/// `xdplb.neighbour_list/1`
public struct NeighbourListDocument: Codable, Sendable {
    public var schema = "xdplb.neighbour_list/1"
    public var generation: UInt64
    public var time: String
    public var neighbours: [NeighbourDocument]
}

/// A neighbour in a list.
public struct NeighbourDocument: Codable, Sendable {
    public var address: String
    public var interface: String
    public var mac: String?
    public var state: String
    public var since: String
    public var backends: [String]
}

/// `xdplb.drops/1`
public struct DropsDocument: Codable, Sendable {
    /// A reason.
    public struct Reason: Codable, Sendable {
        public var reason: String
        public var perSecond: Double
        public var total: UInt64
    }

    public var schema = "xdplb.drops/1"
    public var generation: UInt64
    public var time: String
    public var drops: [Reason]
}

/// `xdplb.change/1`
public struct ChangeDocument: Codable, Sendable {
    public var schema = "xdplb.change/1"
    public var generation: UInt64
    public var time: String
    public var lines: [String]
    public var dryRun: Bool
    public var workers: Int
    public var tookMs: Double
    public var movedSlots: Int
    public var endedConnections: Int
}

/// The body of every answer that is a refusal.
public struct ErrorDocument: Codable, Sendable {
    /// What is wrong.
    public struct Detail: Codable, Sendable {
        public var code: String
        public var message: String
        public var `where`: String?
    }

    public var error: Detail
}

// Bodies of changes.

/// `PUT /api/v1/services/{s}`
public struct ServiceUpdateBody: Codable, Sendable {
    public var backends: [String]
    public var name: String?
    public var mode: String?
    public var snatPool: String?
    public var drainTimeoutSeconds: Double?

    /// A body of its parts.
    public init(
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

/// `PUT /api/v1/services/{s}/mode`
public struct ModeBody: Codable, Sendable {
    public var mode: String

    /// A body of its part.
    public init(mode: String) { self.mode = mode }
}

/// `PATCH /api/v1/services/{s}/backends/{b}`: one of the two.
public struct BackendBody: Codable, Sendable {
    public var adminState: String?
    public var weight: Int?

    /// A body of its parts.
    public init(adminState: String? = nil, weight: Int? = nil) {
        self.adminState = adminState
        self.weight = weight
    }
}
