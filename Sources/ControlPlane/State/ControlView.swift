// SPDX-License-Identifier: Apache-2.0
public import DataPlane
public import struct Foundation.Date

/// All that the control plane knows at a moment, for commands, metrics and pages.
public struct ControlView: Sendable {
    /// What runs.
    public var configuration: Configuration
    /// Generation that every worker has acknowledged.
    public var generation: UInt64
    /// When it was applied.
    public var appliedAt: Date
    /// When the data path started.
    public var startedAt: Date
    /// Whether run-time changes are in force that the file does not have; `nil` without a file.
    public var differsFromFile: Bool?
    /// How the last reload went.
    public var lastReload: ReloadState
    /// Services in the order of the configuration.
    public var services: [ServiceView]
    /// Next hops that are in use, and neighbours that are known.
    public var nextHops: [NextHopView]
    /// SNAT addresses with their numbers and ports.
    public var snatAddresses: [ForwardingPlan.SNATAddress]
    /// Sets of SNAT ports that backends have, by number from 0.
    public var snatPortSpaces = 0
    /// Why new connections cannot be served as configured, worst first; empty when all is well.
    public var problems: [String]
}

/// A service as it runs.
public struct ServiceView: Sendable {
    /// Its number in counters and connections.
    public var id: UInt16
    /// What it was configured with.
    public var configuration: ServiceConfiguration
    /// What packets are matched by.
    public var keys: [ServiceKey]
    /// Its backends, those that were removed and keep connections last.
    public var backends: [BackendView]
    /// Its Maglev table.
    public var maglev: MaglevTable
    /// Twelve digits that are equal on every load balancer with an equal table.
    public var fingerprint: String
    /// Tables built so far.
    public var rebuilds: Int
    /// Slots that changed owner so far.
    public var movedSlots: Int
    /// How long building them took.
    public var buildTimes = DurationHistogram(Self.buildTimeBounds)

    /// Bounds that building times are counted by, in seconds.
    static let buildTimeBounds = [0.001, 0.01, 0.1]

    /// Backends that get new connections.
    public var eligibleCount: Int { backends.filter(\.isEligible).count }

    /// Whether there are as many of them as it needs.
    public var isUp: Bool { eligibleCount >= configuration.neededBackends }
}

/// A backend as it runs.
public struct BackendView: Sendable {
    /// Its number in counters and connections.
    public var id: UInt16
    /// What it was configured with, and what was changed since by commands.
    public var configuration: BackendConfiguration
    /// Whether it was removed and only keeps its connections.
    public var isRemoved: Bool
    /// Whether it gets new connections.
    public var isEligible: Bool
    /// Why it gets none; `nil` when it does.
    public var reason: String?
    /// Slots of the Maglev table it has.
    public var slots: Int
    /// When its admin state or eligibility changed last.
    public var since: Date
    /// Who changed it last: a user's name, or `file`.
    public var changedBy: String?
    /// Where its packets go at layer 2; `nil` without a route.
    public var nextHop: IPAddress?
    /// What probes found; `nil` when it is not probed.
    public var health: HealthState?
}

/// A next hop or neighbour.
public struct NextHopView: Sendable {
    /// What is known of it.
    public enum State: String, Sendable {
        /// Its hardware address is known.
        case resolved
        /// The kernel was asked.
        case pending
        /// The kernel got no answer.
        case failed
    }

    /// Its address.
    public var address: IPAddress
    /// Its hardware address.
    public var mac: MACAddress?
    /// What is known of it.
    public var state: State
    /// Since when.
    public var since: Date
    /// Backends whose packets go through it, as `SERVICE/BACKEND`.
    public var backends: [String]
}
