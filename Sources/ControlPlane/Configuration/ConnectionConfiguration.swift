// SPDX-License-Identifier: Apache-2.0

/// Connection tables.
public struct ConnectionConfiguration: Equatable, Sendable {
    /// What happens to a flow when the table has no entry left.
    public enum TableFull: String, Sendable, CaseIterable {
        /// Forwarded by Maglev alone (`dsr`), dropped (`snat`).
        case stateless
        /// Dropped.
        case drop
    }

    /// What happens to fragments.
    public enum Fragments: String, Sendable, CaseIterable {
        /// They follow the first one of their datagram.
        case track
        /// They are dropped.
        case drop
    }

    /// Entries of each worker's table.
    public var entriesPerWorker = 1_048_576
    /// What happens to a flow when the table has no entry left.
    public var tableFull = TableFull.stateless
    /// What happens to fragments.
    public var fragments = Fragments.track
    /// New connections a second that one source may have, over all workers; `nil` is no bound.
    public var newPerSource: UInt32?
}

/// What the load balancer says itself.
public struct ICMPConfiguration: Equatable, Sendable {
    /// Whether echo requests to a VIP are answered.
    public var echoReply = true
    /// Most error messages a second, over all workers.
    public var errorsPerSecond: UInt32 = 1000
}
