// SPDX-License-Identifier: Apache-2.0
internal import DataPlane
internal import Foundation
internal import Netlink

/// What the kernel's tables said at one moment.
struct KernelTables {
    var links: [LinkMessage]
    var addresses: [AddressMessage]
    var routes: [RouteMessage]
    var neighbours: [NeighbourMessage]

    /// Reads all of them.
    init(_ requests: inout NetlinkSocket) throws(NetlinkError) {
        links = try requests.links()
        addresses = try requests.addresses()
        routes = try requests.routes()
        neighbours = try requests.neighbours()
    }

    /// Tables of their content.
    init(
        links: [LinkMessage], addresses: [AddressMessage], routes: [RouteMessage],
        neighbours: [NeighbourMessage]
    ) {
        self.links = links
        self.addresses = addresses
        self.routes = routes
        self.neighbours = neighbours
    }

    /// The device that an interface's addresses, routes and neighbours are on: its VLAN device when
    /// frames carry a tag, else itself.
    func device(of interface: ObservedInterface) throws(ObservationError) -> LinkMessage {
        guard let link = links.first(where: { $0.name == interface.name }) else {
            throw ObservationError(
                description: "there is no interface \(interface.name) any more")
        }
        guard let vlan = interface.vlan else { return link }
        guard let device = links.first(where: { $0.parent == link.index && $0.vlan == vlan }) else {
            throw ObservationError(
                description: """
                    there is no device for VLAN \(vlan) on \(interface.name), whose addresses and \
                    routes would be used: 'ip link add link \(interface.name) name \
                    \(interface.name).\(vlan) type vlan id \(vlan)' makes one
                    """)
        }
        return device
    }
}

/// A device, and the VLAN that its frames carry.
public struct ObservedInterface: Hashable, Sendable {
    /// The device's name.
    public var name: String
    /// The VLAN; `nil` when frames carry no tag.
    public var vlan: UInt16?

    /// An interface of its two parts.
    public init(name: String, vlan: UInt16?) {
        self.name = name
        self.vlan = vlan
    }
}

extension ObservedState {
    /// What the kernel's tables say of an interface.
    ///
    /// - Parameters:
    ///   - interface: The interface.
    ///   - tables: The tables.
    ///   - before: What was known, which tells since when something has been so.
    /// - Throws: When there is no such interface.
    init(
        of interface: ObservedInterface, in tables: KernelTables, before: ObservedState?
    ) throws(ObservationError) {
        let device = try tables.device(of: interface)
        // A VLAN device is only as good as the one below it.
        let all = tables.links.filter { $0.name == interface.name } + [device]
        self.init(
            mac: MACAddress(bytes: device.mac) ?? before?.mac ?? .zero,
            mtu: all.map(\.mtu).min() ?? device.mtu,
            isUp: all.allSatisfy { $0.isUp && $0.hasCarrier },
            addresses: Self.preferred(tables.addresses.filter { $0.interface == device.index }),
            routes: Self.routes(tables.routes, by: device.index),
            neighbours: Self.neighbours(
                tables.neighbours.filter { $0.interface == device.index },
                before: before?.neighbours ?? [:]),
            hostAddresses: Set(tables.addresses.compactMap { IPAddress(bytes: $0.address) }))
    }

    /// Addresses that may be used, those first that the kernel would rather use.
    private static func preferred(_ addresses: [AddressMessage]) -> [IPAddress] {
        let usable = addresses.filter(\.isUsable)
        let ranks = [
            usable.filter { !$0.isDeprecated && !$0.isSecondary },
            usable.filter { !$0.isDeprecated && $0.isSecondary },
            usable.filter(\.isDeprecated),
        ]
        return ranks.joined().compactMap { IPAddress(bytes: $0.address) }
    }

    private static func routes(_ routes: [RouteMessage], by device: Int) -> Set<Route> {
        var found: Set<Route> = []
        for route in routes
        where route.isUnicast && route.isGeneral && route.table == RouteMessage.mainTable {
            guard let network = IPAddress(bytes: route.destination),
                let prefix = IPPrefix(network, length: route.prefixLength)
            else { continue }
            for hop in route.hops where hop.interface == device {
                found.insert(
                    Route(
                        prefix: prefix, gateway: hop.gateway.flatMap { IPAddress(bytes: $0) },
                        metric: route.priority))
            }
        }
        return found
    }

    private static func neighbours(
        _ neighbours: [NeighbourMessage], before: [IPAddress: Neighbour]
    ) -> [IPAddress: Neighbour] {
        var found: [IPAddress: Neighbour] = [:]
        for neighbour in neighbours {
            // Multicast groups are in the kernel's table too, and are nobody's next hop.
            guard let address = IPAddress(bytes: neighbour.address),
                MACAddress(bytes: neighbour.mac)?.isGroup != true
            else { continue }
            let isValid = !neighbour.state.isDisjoint(with: .valid)
            var next = Neighbour(
                mac: isValid ? MACAddress(bytes: neighbour.mac) : nil,
                hasFailed: neighbour.state.contains(.failed), since: Date())
            if let past = before[address], past.mac == next.mac, past.hasFailed == next.hasFailed {
                next.since = past.since
            }
            found[address] = next
        }
        return found
    }
}

/// Why the kernel's tables could not be read.
public struct ObservationError: Error, CustomStringConvertible {
    /// What was attempted, and the answer.
    public let description: String
}
