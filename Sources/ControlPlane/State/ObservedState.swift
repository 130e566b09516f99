// SPDX-License-Identifier: Apache-2.0
public import DataPlane
public import struct Foundation.Date

/// What the kernel says about the interface, its routes and its neighbours.
public struct ObservedState: Equatable, Sendable {
    /// A route that leaves by the interface.
    public struct Route: Hashable, Sendable {
        /// The destinations it is for.
        public var prefix: IPPrefix
        /// The gateway; `nil` when destinations are on the link.
        public var gateway: IPAddress?
        /// Its priority: the lowest wins among routes for one prefix.
        public var metric: UInt32

        /// A route of its parts.
        public init(prefix: IPPrefix, gateway: IPAddress?, metric: UInt32 = 0) {
            self.prefix = prefix
            self.gateway = gateway
            self.metric = metric
        }

        /// Whether it is taken in place of another one for the same prefix: that of the lowest
        /// metric is, and of those of one metric always the same one.
        func isPreferred(over other: Route) -> Bool {
            (metric, gateway ?? prefix.network) < (other.metric, other.gateway ?? prefix.network)
        }
    }

    /// A neighbour on the interface.
    public struct Neighbour: Hashable, Sendable {
        /// Its hardware address; `nil` while the kernel has none.
        public var mac: MACAddress?
        /// Whether the kernel asked and got no answer.
        public var hasFailed: Bool
        /// Since when.
        public var since: Date

        /// A neighbour of its parts.
        public init(mac: MACAddress?, hasFailed: Bool, since: Date) {
            self.mac = mac
            self.hasFailed = hasFailed
            self.since = since
        }
    }

    /// Hardware address of the interface.
    public var mac: MACAddress
    /// Its MTU in bytes.
    public var mtu: Int
    /// Whether it is up and has a carrier.
    public var isUp: Bool
    /// Its addresses that may be used, the primary ones first.
    public var addresses: [IPAddress]
    /// Addresses of all interfaces of this host.
    public var hostAddresses: Set<IPAddress>
    /// Routes that leave by it.
    public var routes: Set<Route>
    /// Neighbours on it.
    public var neighbours: [IPAddress: Neighbour]

    /// A state of its parts.
    public init(
        mac: MACAddress, mtu: Int, isUp: Bool, addresses: [IPAddress], routes: Set<Route>,
        neighbours: [IPAddress: Neighbour], hostAddresses: Set<IPAddress> = []
    ) {
        self.mac = mac
        self.mtu = mtu
        self.isUp = isUp
        self.addresses = addresses
        self.routes = routes
        self.neighbours = neighbours
        self.hostAddresses = hostAddresses.union(addresses)
    }

    /// The interface's first IPv4 address.
    public var ipv4: IPAddress? { addresses.first { $0.family == .ipv4 } }

    /// The interface's first IPv6 address that is known beyond the link (RFC 4291 §2.5.6).
    public var ipv6: IPAddress? {
        addresses.first { $0.family == .ipv6 && $0.high >> 54 != 0xfe80 >> 6 }
    }

    /// The interface's address of a family.
    public func address(_ family: AddressFamily) -> IPAddress? { family == .ipv4 ? ipv4 : ipv6 }

    /// An address of this host that is among VIPs, whose own traffic would be cut off; `nil` when
    /// there is none.
    public func hostAddress(in vips: IPPrefix) -> IPAddress? {
        vips.isHost
            ? (hostAddresses.contains(vips.network) ? vips.network : nil)
            : hostAddresses.filter(vips.contains).min()
    }

    /// Where packets to a destination go at layer 2; `nil` without a route.
    public func nextHop(towards destination: IPAddress) -> IPAddress? {
        let route =
            routes
            .filter { $0.prefix.contains(destination) }
            .min { left, right in
                left.prefix.length == right.prefix.length
                    ? left.isPreferred(over: right) : left.prefix.length > right.prefix.length
            }
        return route.map { $0.gateway ?? destination }
    }
}
