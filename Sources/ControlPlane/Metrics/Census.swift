// SPDX-License-Identifier: Apache-2.0
internal import DataPlane

/// What the workers' tables hold, counted by a walk over them.
struct Census: Sendable {
    /// Ports of a SNAT pool.
    ///
    /// A port serves one connection with each backend and protocol at a time, so ports run out
    /// towards the busiest of these first: the numbers are those of that one, and their sum is the
    /// size of the pool. Of a pool of both families, it is the fuller one.
    struct Pool: Equatable, Sendable {
        let name: String
        /// Numbers of the addresses that have one.
        var addresses: [UInt16]
        var used = 0
        var free: Int
        /// Ports of closed connections, which rest before they are given again.
        var resting = 0
    }

    /// Fragments under way, by worker.
    var fragments: [Int] = []
    var pools: [Pool] = []
}

/// SNAT addresses that a service chooses among: a pool's of one family, or the interface's own.
struct SNATGroup: Equatable, Sendable {
    /// What the interface's own address and ports are called: no pool that a file names.
    static let ownName = "interface"

    let pool: String
    /// Ports of all addresses.
    var size: Int
    var addresses: [UInt16] = []

    /// The groups of what runs.
    static func all(in view: ControlView) -> [SNATGroup] {
        var groups: [SNATGroup] = []
        for pool in view.configuration.snatPools {
            for family in [AddressFamily.ipv4, .ipv6] {
                let members = pool.addresses.filter { $0.family == family }
                guard !members.isEmpty else { continue }
                let numbers = view.snatAddresses.filter { members.contains($0.address) }.map(\.id)
                groups.append(
                    SNATGroup(
                        pool: pool.name, size: members.count * pool.ports.count,
                        addresses: numbers))
            }
        }
        let pooled = Set(view.configuration.snatPools.flatMap(\.addresses))
        let usesOwn = view.services.contains {
            $0.configuration.mode == .snat && view.configuration.pool(of: $0.configuration) == nil
        }
        guard usesOwn else { return groups }
        for address in view.snatAddresses where !pooled.contains(address.address) {
            groups.append(
                SNATGroup(
                    pool: ownName, size: address.ports.reduce(0) { $0 + $1.count },
                    addresses: [address.id]))
        }
        return groups
    }

    /// The pool as the walks found it.
    fileprivate func pool(_ walks: [TableCensus], _ group: Int) -> Census.Pool {
        var busiest = (taken: 0, resting: 0)
        let ports = walks.map { $0.ports(ofGroup: group) }
        for space in ports.first?.indices ?? 0..<0 {
            let taken = ports.reduce(0) { $0 + Int($1[space].taken) }
            let resting = ports.reduce(0) { $0 + Int($1[space].resting) }
            if taken > busiest.taken { busiest = (taken, resting) }
        }
        return Census.Pool(
            name: pool, addresses: addresses, used: busiest.taken - busiest.resting,
            free: max(0, size - busiest.taken), resting: busiest.resting)
    }
}

/// Takes the census for whoever asks, at most once a second: a walk is work for the workers.
actor CensusTaker {
    private static let freshness = Duration.seconds(1)

    private var latest: (census: Census, taken: ContinuousClock.Instant)?
    private var walk: Task<Census, Never>?

    /// The census, of this moment or of at most a second ago.
    func take(_ view: ControlView, _ dataPlane: any DataPlaneHandle) async -> Census {
        if let latest, .now - latest.taken < Self.freshness { return latest.census }
        if let walk { return await walk.value }
        let task = Task { await Self.walk(view, dataPlane) }
        walk = task
        let census = await task.value
        walk = nil
        latest = (census, .now)
        return census
    }

    private static func walk(
        _ view: ControlView, _ dataPlane: any DataPlaneHandle
    ) async -> Census {
        let groups = SNATGroup.all(in: view)
        var groupOfAddress = [Int?](
            repeating: nil, count: (view.snatAddresses.map { Int($0.id) }.max() ?? -1) + 1)
        for (index, group) in groups.enumerated() {
            for address in group.addresses { groupOfAddress[Int(address)] = index }
        }
        let layout = TableCensus.Layout(
            groups: groups.count, groupOfAddress: groupOfAddress,
            portSpaces: view.snatPortSpaces)
        let walks = await dataPlane.scan(.init(), .census(layout)).compactMap(\.census)
        var census = Census(fragments: walks.map(\.fragments))
        for (index, group) in groups.enumerated() {
            census.add(group.pool(walks, index))
        }
        return census
    }
}

extension Census {
    /// Adds a pool, or keeps the fuller one of two with a name.
    fileprivate mutating func add(_ pool: Pool) {
        guard let known = pools.firstIndex(where: { $0.name == pool.name }) else {
            pools.append(pool)
            return
        }
        let addresses = pools[known].addresses + pool.addresses
        if pool.isFuller(than: pools[known]) { pools[known] = pool }
        pools[known].addresses = addresses
    }
}

extension Census.Pool {
    private var size: Int { used + free + resting }

    fileprivate func isFuller(than other: Census.Pool) -> Bool {
        free * other.size < other.free * size
    }
}
