// SPDX-License-Identifier: Apache-2.0
internal import DataPlane

/// What a command may not make of a service, whatever the rest of the state is.
extension DesiredState {
    /// Refuses a service that contradicts itself, its backends or its SNAT pool.
    func check(_ service: ServiceConfiguration) throws(ChangeRefused) {
        try checkPool(of: service)
        for vips in service.vips {
            guard !vips.coversMappedAddresses else {
                throw ChangeRefused(
                    kind: .invalid, code: "vip_covers_ipv4",
                    message: """
                        \(service.name): VIP \(vips) covers ::ffff:0:0/96, which stands for all of \
                        IPv4. Nothing was changed
                        """, location: "services.\(service.name).vips")
            }
            guard let (pool, address) = configuration.poolAddress(in: vips) else { continue }
            let text = vips.text(with: address, whichIs: "an address of SNAT pool '\(pool)'")
            throw ChangeRefused(
                kind: .conflict, code: "vip_in_snat_pool",
                message: "\(service.name): VIP \(text). Nothing was changed",
                location: "services.\(service.name).vips")
        }
        var seen: Set<Endpoint> = []
        for (index, backend) in configuration.backends(of: service).enumerated() {
            let location = "services.\(service.name).backends[\(index)]"
            guard seen.insert(backend.endpoint).inserted else {
                throw ChangeRefused(
                    kind: .invalid, code: "backend_twice",
                    message:
                        "\(service.name): backend \(backend.endpoint) is named twice. Nothing was changed",
                    location: location)
            }
            if let contradiction = service.contradiction(with: backend) {
                throw ChangeRefused(
                    kind: .conflict, code: contradiction.code,
                    message: "\(service.name): \(contradiction.text(backend)). Nothing was changed",
                    location: location)
            }
        }
    }

    /// Refuses a change that makes a service of this host's own addresses, whose traffic would be
    /// cut off.
    func checkVIPs(
        of change: Change, since before: DesiredState, against observed: ObservedState
    ) throws(ChangeRefused) {
        guard case .updateService(let update) = change,
            update.service.exactIndex(in: before.configuration.services) == nil,
            let index = update.service.exactIndex(in: configuration.services)
        else { return }
        let service = configuration.services[index]
        for vips in service.vips {
            guard let own = observed.hostAddress(in: vips) else { continue }
            throw ChangeRefused(
                kind: .conflict, code: "vip_of_this_host",
                message: "\(service.obstacle(of: vips, own)). Nothing was changed",
                location: "services.\(service.name).vips")
        }
    }

    /// Index of the service to delete: a key must be its own, not one among many that it answers at.
    func deletableIndex(of reference: ServiceReference) throws(ChangeRefused) -> Int {
        let index = try index(of: reference)
        if reference.exactIndex(in: configuration.services) == index { return index }
        throw ChangeRefused(
            kind: .conflict, code: "not_its_own_key",
            message: """
                \(reference) is only a part of service \(configuration.services[index].name). To \
                delete all of it, give its name. Nothing was changed
                """)
    }

    private func checkPool(of service: ServiceConfiguration) throws(ChangeRefused) {
        let location = "services.\(service.name).snat_pool"
        if let name = service.snatPool,
            !configuration.snatPools.contains(where: { $0.name == name })
        {
            let names = configuration.snatPools.map(\.name).joined(separator: ", ")
            throw ChangeRefused(
                kind: .invalid, code: "no_such_pool",
                message: """
                    service '\(service.name)' uses snat_pool '\(name)', which is not defined (pools: \
                    \(names.isEmpty ? "none" : names)). Nothing was changed
                    """, location: location)
        }
        if let family = configuration.familyWithoutPool(service) {
            throw ChangeRefused(
                kind: .conflict, code: "pool_lacks_family",
                message: """
                    service '\(service.name)' has \(family.rawValue) VIPs, but snat_pool \
                    '\(service.snatPool ?? "")' has no \(family.rawValue) address. Nothing was changed
                    """, location: location)
        }
    }
}
