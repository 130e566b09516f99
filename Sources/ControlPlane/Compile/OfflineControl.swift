// SPDX-License-Identifier: Apache-2.0
public import DataPlane
internal import struct Foundation.Date

/// The control plane of the offline commands: a configuration and changes to it, and the plan that
/// follows; no host is asked.
///
/// The interface is what `offline` says of it, and everything is sent to its one next hop.
public struct OfflineControl: Sendable {
    private let compiler: SnapshotCompiler
    private let observed: ObservedState
    private var desired: DesiredState
    private var running: SnapshotCompiler.Result

    /// A control plane of a configuration.
    ///
    /// - Throws: ``ChangeRefused`` when the configuration does not say what the interface is.
    public init(_ configuration: Configuration, hashKey: HashKey) throws(ChangeRefused) {
        guard let facts = configuration.interface.offline else {
            throw ChangeRefused(
                kind: .invalid, code: "no_offline_facts",
                message: """
                    interface \(configuration.interface.name) has no 'offline' facts, which stand \
                    in for it where no host is asked: 'offline: {mac: …, mtu: 1500, ipv4: …, \
                    next_hop_mac: …}'
                    """)
        }
        var configuration = configuration
        let nextHops = AddressFamily.allCases.map(Self.nextHop)
        configuration.interface.fixedNextHops = nextHops
        let neighbour = ObservedState.Neighbour(
            mac: facts.nextHopMAC, hasFailed: false, since: Date(timeIntervalSince1970: 0))
        observed = ObservedState(
            mac: facts.mac, mtu: facts.mtu, isUp: true,
            addresses: [facts.ipv4, facts.ipv6].compactMap { $0 }, routes: [],
            neighbours: Dictionary(uniqueKeysWithValues: nextHops.map { ($0, neighbour) }))
        compiler = SnapshotCompiler(
            hashKey: hashKey, workerCount: 1, interfacePorts: [1024...UInt16.max])
        desired = DesiredState(configuration)
        let room = configuration.snatCapacity
        let limits = IdentityRegistry.Limits(
            snatBackends: room.backends, snatAddresses: room.addresses)
        running = try compiler.compile(
            desired, observed, IdentityRegistry(limits: limits), known: [], generation: 1)
    }

    /// Backends of `snat` that there is room for, when a configuration has `count`.
    public static func snatBackends(for count: Int) -> Int { max(256, count * 2) }

    /// Stands for the one next hop, of which only the hardware address counts (RFC 5737, RFC 3849).
    private static func nextHop(_ family: AddressFamily) -> IPAddress {
        family == .ipv4
            ? IPAddress(IPv4Address(0xc000_0201)) : IPAddress(high: 0x2001_0db8 << 32, low: 1)
    }

    /// What the data path decides by.
    public var plan: ForwardingPlan { running.plan }

    /// Applies changes of backends, all of them or none.
    ///
    /// - Throws: ``ChangeRefused`` when a service, backend, state or weight is unknown.
    public mutating func apply(_ changes: [OfflineBackendChange]) throws(ChangeRefused) {
        var next = desired
        for change in changes { try Self.apply(change, to: &next) }
        for service in next.configuration.services { try next.check(service) }
        running = try compiler.compile(
            next, observed, running.identities, known: running.services,
            generation: running.plan.generation + 1)
        desired = next
    }

    /// What another configuration would change; no connection is known, and all count as healthy.
    public func plan(to configuration: Configuration) throws(ChangeRefused) -> ConfigurationPlan {
        var configuration = configuration
        configuration.interface.fixedNextHops = desired.configuration.interface.fixedNextHops
        let next = desired.reloading(configuration, at: .now).state
        let compiled = try compiler.compile(
            next, observed, running.identities, known: running.services,
            generation: running.plan.generation + 1)
        var builder = PlanBuilder(
            from: (desired.configuration, running), to: (configuration, compiled),
            connections: { _ in 0 })
        return builder.build()
    }

    /// The name of a service; `nil` when there is none.
    public func serviceName(_ id: UInt16) -> String? {
        running.services.first { $0.id == id }?.configuration.name
    }

    /// The address of a backend; `nil` when there is none.
    public func backendAddress(_ id: UInt16) -> String? {
        backend(id)?.configuration.address.description
    }

    /// What a trace calls things by.
    public var traceNames: TraceWriter.Names {
        let copy = self
        return TraceWriter.Names(
            service: { copy.serviceName($0) },
            backend: { id in
                copy.backend(id).map { TraceWriter.text(of: $0.configuration) }
            },
            backendState: { id in
                copy.backend(id).map { TraceWriter.state(of: $0.configuration) } ?? "unknown"
            })
    }

    private func backend(_ id: UInt16) -> SnapshotCompiler.CompiledBackend? {
        for service in running.services {
            if let found = service.backends.first(where: { $0.identity.id == id }) { return found }
        }
        return nil
    }

    // MARK: Changes

    private static func apply(
        _ change: OfflineBackendChange, to state: inout DesiredState
    ) throws(ChangeRefused) {
        let named = state.configuration.services[try state.index(of: .name(change.service))]
        let index = try state.index(of: .name(named.backendsFrom ?? named.name))
        let service = state.configuration.services[index]
        guard let address = IPAddress(change.backend) else {
            throw refused("backend", "'\(change.backend)' is not an address")
        }
        let position = service.backends.firstIndex { $0.address == address }
        if change.removes {
            guard let position else { throw unknown(change) }
            state.configuration.services[index].backends.remove(at: position)
            return
        }
        if position == nil {
            guard change.adds else { throw unknown(change) }
            // A new one translates to the port that the others do.
            let port = service.backends.first?.port
            state.configuration.services[index].backends.append(
                BackendConfiguration(address: address, port: port))
        }
        let found = position ?? state.configuration.services[index].backends.count - 1
        if let weight = change.weight {
            guard let known = UInt16(exactly: weight) else {
                throw refused("weight", "weight \(weight) is outside 0...65535")
            }
            state.configuration.services[index].backends[found].weight = known
        }
        if let word = change.state {
            state.configuration.services[index].backends[found].adminState = try adminState(word)
        }
    }

    private static func adminState(_ word: String) throws(ChangeRefused) -> AdminState {
        switch word {
        case "up", "active": return .active
        case "drain", "draining": return .draining
        // Nothing is sent there any more, as when a probe has found it dead.
        case "down", "disabled": return .disabled
        default: throw refused("state", "state '\(word)' is not one of up, down, drain")
        }
    }

    private static func unknown(_ change: OfflineBackendChange) -> ChangeRefused {
        refused("backend", "service \(change.service) has no backend \(change.backend)")
    }

    private static func refused(_ code: String, _ message: String) -> ChangeRefused {
        ChangeRefused(kind: .invalid, code: code, message: message)
    }
}

/// A change of a backend between two frames of a replay.
public struct OfflineBackendChange: Equatable, Sendable {
    /// Name of the service.
    public var service: String
    /// Address of the backend.
    public var backend: String
    /// `up`, `down` or `drain`; `nil` leaves it.
    public var state: String?
    /// 0–65535; `nil` leaves it.
    public var weight: Int?
    /// Whether the backend may be a new one.
    public var adds: Bool
    /// Whether it is taken out.
    public var removes: Bool

    /// A change of its parts.
    public init(
        service: String, backend: String, state: String?, weight: Int?, adds: Bool, removes: Bool
    ) {
        self.service = service
        self.backend = backend
        self.state = state
        self.weight = weight
        self.adds = adds
        self.removes = removes
    }
}
