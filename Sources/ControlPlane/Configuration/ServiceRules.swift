// SPDX-License-Identifier: Apache-2.0
public import DataPlane

// What no service may have, whether it comes from a file, from arguments or from a command.

/// Why a backend cannot serve a service.
public enum BackendContradiction: Equatable, Sendable {
    /// `dsr` leaves the packet as it is, and with it the port.
    case dsrTranslatesPort(ServicePort)
    /// All ports of a range would become one.
    case mergesPorts(ServicePort)
    /// `snat` cannot make an IPv4 packet an IPv6 one.
    case snatMixesFamilies(IPPrefix)
}

extension BackendContradiction {
    /// What the admin API calls it.
    var code: String {
        switch self {
        case .dsrTranslatesPort: "port_translation_in_dsr"
        case .mergesPorts: "one_port_for_several"
        case .snatMixesFamilies: "mixed_families_in_snat"
        }
    }

    /// What is contradictory of a backend, without the service's name.
    public func text(_ backend: BackendConfiguration) -> String {
        let endpoint = backend.endpoint.description
        let named =
            backend.name == endpoint ? "a backend is \(endpoint)" : "\(backend.name) is \(endpoint)"
        return switch self {
        case .dsrTranslatesPort(let own):
            "dsr cannot translate ports, but \(named) and the service port is "
                + ServiceKey.text(of: own.ports)
        case .mergesPorts(let own):
            "snat cannot make one port of several, but \(named) and the service ports are "
                + ServiceKey.text(of: own.ports)
        case .snatMixesFamilies(let vips):
            "snat cannot mix families, but \(named) and a VIP is \(vips.shortText)"
        }
    }

    /// What the operator can do about it.
    public var remedy: String {
        switch self {
        case .dsrTranslatesPort: "leave the backend's port out, or use snat"
        case .mergesPorts: "leave the backend's port out"
        case .snatMixesFamilies: "use dsr, or a backend of the VIP's family"
        }
    }
}

extension ServiceConfiguration {
    /// Eligible backends that it needs to count as up.
    var neededBackends: Int { max(minimumBackends, 1) }

    /// Why a backend cannot serve this service; `nil` when it can.
    public func contradiction(with backend: BackendConfiguration) -> BackendContradiction? {
        switch mode {
        case .snat:
            if let vips = vips.first(where: { $0.family != backend.address.family }) {
                return .snatMixesFamilies(vips)
            }
            guard backend.port != nil else { return nil }
            return ports.first { $0.port == nil }.map(BackendContradiction.mergesPorts)
        case .dsr:
            guard let port = backend.port else { return nil }
            return ports.first { $0.port != port }.map(BackendContradiction.dsrTranslatesPort)
        }
    }

    /// Every VIP at every port.
    public var keys: [ServiceKey] {
        vips.flatMap { vip in
            ports.map { ServiceKey(vips: vip, ports: $0.ports, transport: $0.transport) }
        }
    }

    /// The families of its VIPs.
    var families: [AddressFamily] {
        AddressFamily.allCases.filter { family in vips.contains { $0.family == family } }
    }
}

extension Configuration {
    /// The backends of a service, which may be those of another one.
    public func backends(of service: ServiceConfiguration) -> [BackendConfiguration] {
        guard let owner = service.backendsFrom else { return service.backends }
        return services.first { $0.name == owner }?.backends ?? []
    }

    /// Backends of `snat` and SNAT addresses that a daemon has room for: what is configured and as
    /// much again, so that commands can add.
    ///
    /// All services count, as a command may change their mode. Addresses that are not in use any
    /// more count until their connections have ended, so there is room for some of the interface's.
    public var snatCapacity: (backends: Int, addresses: Int) {
        let backends = services.reduce(0) { $0 + self.backends(of: $1).count }
        let addresses = snatPools.reduce(0) { $0 + $1.addresses.count }
        return (OfflineControl.snatBackends(for: backends), max(8, addresses * 2))
    }

    /// Connections that there are ports for in a pool: each port serves one with every backend and
    /// protocol at a time.
    func connectionsPossible(through pool: SNATPoolConfiguration) -> Int {
        services.filter { $0.mode == .snat && $0.snatPool == pool.name }.reduce(0) { sum, service in
            let addresses = pool.addresses.count { service.families.contains($0.family) }
            let protocols = Set(service.ports.map(\.transport)).count
            return sum + addresses * pool.ports.count * backends(of: service).count * protocols
        }
    }

    /// The SNAT pool that a service names and that is defined.
    func pool(of service: ServiceConfiguration) -> SNATPoolConfiguration? {
        guard service.mode == .snat, let name = service.snatPool else { return nil }
        return snatPools.first { $0.name == name }
    }

    /// A family of a service's VIPs that its SNAT pool has no address of.
    func familyWithoutPool(_ service: ServiceConfiguration) -> AddressFamily? {
        guard let pool = pool(of: service) else { return nil }
        return service.families.first { family in
            !pool.addresses.contains { $0.family == family }
        }
    }

    /// An address of a SNAT pool that is among VIPs: replies to it could not be told from what
    /// clients send.
    func poolAddress(in vips: IPPrefix) -> (pool: String, address: IPAddress)? {
        for pool in snatPools {
            if let address = pool.addresses.first(where: vips.contains) {
                return (pool.name, address)
            }
        }
        return nil
    }
}

extension ServiceReference {
    /// The index of the service that is meant.
    ///
    /// A key means the service that answers there: its own key, or the narrowest that covers it, as
    /// packets have it.
    func index(in services: [ServiceConfiguration]) -> Int? {
        switch self {
        case .name(let name):
            return services.firstIndex { $0.name == name }
        case .key(let key):
            var best: (index: Int, key: ServiceKey)?
            for (index, service) in services.enumerated() {
                for own in service.keys where own.covers(key) {
                    if best.map({ own.isNarrower(than: $0.key) }) ?? true { best = (index, own) }
                }
            }
            return best?.index
        }
    }

    /// The index of the service whose name or own key this is.
    func exactIndex(in services: [ServiceConfiguration]) -> Int? {
        switch self {
        case .name: index(in: services)
        case .key(let key): services.firstIndex { $0.keys.contains(key) }
        }
    }
}

extension ServiceKey {
    /// Whether a packet that matches both is for this one.
    fileprivate func isNarrower(than other: ServiceKey) -> Bool {
        (other.vips.length, ports.count) < (vips.length, other.ports.count)
    }
}
