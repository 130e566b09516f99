// SPDX-License-Identifier: Apache-2.0
internal import DataPlane
internal import struct Foundation.Date

/// What is wanted and what was observed → what the data path decides by.
///
/// Pure: the same input gives the same plan. Identities are handed in and out as a value, so that
/// a plan that is not published leaves no trace.
struct SnapshotCompiler: Sendable {
    let hashKey: HashKey
    let workerCount: Int
    /// Ports of the interface's own address that `snat` may use, when no pool is named.
    let interfacePorts: [ClosedRange<UInt16>]

    /// What probes found, by the service that owns a backend.
    typealias HealthTable = [IdentityRegistry.BackendKey: BackendHealth]

    /// A plan, and what there is to say about it.
    struct Result: Sendable {
        var plan: ForwardingPlan
        var services: [CompiledService]
        var identities: IdentityRegistry
        var problems: [String]
        /// Addresses whose hardware address is needed, and the backends behind each.
        var nextHopUsers: [IPAddress: [String]]
    }

    /// A service with its table and what became of its backends.
    struct CompiledService: Sendable {
        var id: UInt16
        var configuration: ServiceConfiguration
        var backends: [CompiledBackend]
        var maglev: MaglevTable
        /// How long building the table took, whenever that was.
        var buildTime: Duration
        var members: [MaglevTable.Member]
    }

    /// A backend with its number and whether it gets new connections.
    struct CompiledBackend: Sendable {
        var identity: IdentityRegistry.BackendIdentity
        var configuration: BackendConfiguration
        var isRemoved: Bool
        /// What probes found; healthy when it is not probed.
        var health = BackendHealth.healthy
        /// Why it gets no new connections; `nil` when it does.
        var reason: String?
        var nextHop: IPAddress?
    }

    /// Compiles a plan.
    ///
    /// - Parameters:
    ///   - desired: What is wanted.
    ///   - observed: What the kernel says.
    ///   - health: What probes found; a backend that is to be probed and is not in it is unknown.
    ///     Without it all count as healthy.
    ///   - identities: Numbers that were given so far.
    ///   - known: Services as they were compiled before: a table whose members are the same is
    ///     taken over, not built again.
    ///   - generation: Number of the plan.
    /// - Returns: The plan, and what there is to say about it.
    /// - Throws: When there is no room for a service, backend or SNAT address.
    func compile(
        _ desired: DesiredState, _ observed: ObservedState, health: HealthTable? = nil,
        _ identities: IdentityRegistry, known: [CompiledService], generation: UInt64
    ) throws(ChangeRefused) -> Result {
        var draft = SnapshotDraft(self, desired, observed, health, identities, known)
        for service in desired.configuration.services { try draft.add(service) }
        return draft.finish(generation: generation)
    }
}
