// SPDX-License-Identifier: Apache-2.0

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
    /// Frames dropped since the start, by reason.
    package var drops: [String: UInt64]
    /// Frames that are being dropped, by reason.
    package var dropsPerSecond: [String: Double]
    package var connections: TableDocument
    package var memory: MemoryDocument
    /// `same`, `differs` or `none`.
    package var file: String
    /// Why the last reload was refused.
    @Nullable package var reloadRefused: String?
    /// When the running generation is undone unless it is confirmed.
    @Nullable package var confirmUntil: String?
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
    package var rxPacketsPerSecond: Double
    package var txPacketsPerSecond: Double
    package var xdp: SteeringDocument
    package var ringLosses: UInt64
    package var ringLossesPerSecond: Double
}

/// The document `xdplb.interface_list/1`.
package struct InterfaceListDocument: Codable, Sendable {
    package var schema = "xdplb.interface_list/1"
    package var generation: UInt64
    package var time: String
    package var interfaces: [InterfaceDocument]
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
    @Nullable package var cpu: Int?
    package var generation: UInt64
    package var rxPackets: UInt64
    package var txPackets: UInt64
    package var rxPacketsPerSecond: Double
    package var txPacketsPerSecond: Double
    package var handedOff: UInt64
    package var busyShare: Double
    package var packetsPerBatch: Double
    package var packetsPerWakeup: Double
    package var chunks: [String: Int]
}

/// The document `xdplb.worker_list/1`.
package struct WorkerListDocument: Codable, Sendable {
    package var schema = "xdplb.worker_list/1"
    package var generation: UInt64
    package var time: String
    package var workers: [WorkerDocument]
}

/// A service's health in one line, as part of a status.
package struct ServiceStateDocument: Codable, Sendable {
    package var name: String
    /// Whether it has as many eligible backends as it needs.
    package var up: Bool
    package var eligible: Int
    package var backends: Int
    /// Backends that get no new connections, at most ten of them.
    package var ineligible: [IneligibleDocument] = []

    /// Whether it serves, with fewer backends than it was given.
    package var isDegraded: Bool { up && eligible < backends }
}

/// A backend that gets no new connections, as part of a status.
package struct IneligibleDocument: Codable, Sendable {
    package var name: String
    /// Why.
    package var reason: String
    package var since: String
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
    @Nullable package var numaNode: Int?
}
