// SPDX-License-Identifier: Apache-2.0

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
    @Nullable package var snat: String?
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
    /// Connections that were ended, or would be.
    package var ended: Int
    package var dryRun: Bool
}
