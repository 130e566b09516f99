// SPDX-License-Identifier: Apache-2.0

/// Everything the data path decides by, as plain values.
///
/// The control plane compiles one from what the operator wants and what was observed;
/// ``ForwardingSnapshot`` lays it out for the workers, the steering program's maps are made from
/// it, and tests write one down. Numbers of services, backends and SNAT addresses stay the same
/// over generations for as long as a connection may refer to them.
public struct ForwardingPlan: Sendable {
    /// Which plan it is; the first is 1.
    public var generation: UInt64 = 0
    /// The interface frames come from and go to.
    public var link: Link
    /// How `dsr` wraps packets.
    public var encapsulation = Encapsulation()
    /// What flow hashes and Maglev tables are keyed with.
    public var hashKey: HashKey
    /// What is offered.
    public var services: [Service] = []
    /// Who serves it, and who did until lately.
    public var backends: [Backend] = []
    /// Source addresses of `snat`.
    public var snatAddresses: [SNATAddress] = []
    /// Who sends replies to SNAT addresses: backends that have, or may still have, connections of
    /// `snat`.
    ///
    /// What comes from others is the kernel's.
    public var snatSources: Set<SteeringEndpoint> = []
    /// Workers that divide the SNAT ports.
    public var workerCount = 1
    /// Where packets to an address go, from the kernel's table.
    public var routes: [Route] = []
    /// The neighbours, and the next hops that are not resolved yet.
    public var nextHops: [NextHop] = []
    /// Whether a `dsr` flow without a table entry is forwarded by Maglev alone.
    public var forwardsStatelessly = true

    /// A plan without services.
    public init(link: Link, hashKey: HashKey) {
        self.link = link
        self.hashKey = hashKey
    }

    /// The interface.
    public struct Link: Hashable, Sendable {
        /// Source of every frame sent.
        public var mac: MACAddress
        /// Largest IP packet it carries, in bytes.
        public var mtu: Int
        /// Its IPv4 address: the outer source of `dsr`.
        public var ipv4: IPAddress?

        /// A link of its parts.
        public init(mac: MACAddress, mtu: Int, ipv4: IPAddress?) {
            self.mac = mac
            self.mtu = mtu
            self.ipv4 = ipv4
        }
    }

    /// The outer header of `dsr`.
    public struct Encapsulation: Hashable, Sendable {
        /// Prefix the outer source is hashed over; `nil` means the interface's address.
        public var ipv4SourcePrefix: IPPrefix?
        /// Time to live of the outer header.
        public var timeToLive: UInt8 = 64
        /// Fixed DSCP; `nil` copies the inner one.
        public var dscp: UInt8?

        /// The defaults.
        public init() {}
    }

    /// A service: keys that share a policy and a Maglev table.
    public struct Service: Sendable {
        /// Its number.
        public var id: UInt16
        /// What packets are matched by.
        public var keys: [ServiceKey]
        /// How new connections are forwarded.
        public var mode: ForwardingMode
        /// Who gets new connections.
        public var maglev: MaglevTable
        /// Idle timeouts in milliseconds.
        public var timeouts = Timeouts()
        /// Numbers of the addresses that `snat` uses.
        public var snatAddresses: [UInt16]

        /// A service of its parts.
        public init(
            id: UInt16, keys: [ServiceKey], mode: ForwardingMode, maglev: MaglevTable,
            snatAddresses: [UInt16] = []
        ) {
            self.id = id
            self.keys = keys
            self.mode = mode
            self.maglev = maglev
            self.snatAddresses = snatAddresses
        }
    }

    /// Idle timeouts in milliseconds.
    public struct Timeouts: Hashable, Sendable, BitwiseCopyable {
        /// TCP with a completed handshake.
        public var tcpEstablished: UInt32 = 8_000_000
        /// TCP that opens or closes.
        public var tcpTransitory: UInt32 = 240_000
        /// UDP.
        public var udp: UInt32 = 300_000

        /// The defaults.
        public init() {}
    }

    /// A backend of one service.
    public struct Backend: Hashable, Sendable {
        /// Its number, below ``MaglevTable/nobody``.
        public var id: UInt16
        /// Which of the backends that had this number over time it is.
        public var epoch: UInt16 = 0
        /// Its address.
        public var address: IPAddress
        /// Its port; 0 keeps the packet's.
        public var port: UInt16
        /// What its connections may do.
        public var admits: Admits
        /// Index in ``ForwardingPlan/nextHops``; `nil` when there is no route to it.
        public var nextHop: Int?
        /// Which set of SNAT ports it has; `nil` when it was never used with `snat`.
        public var portSpace: UInt16?

        /// A backend of its parts.
        public init(
            id: UInt16, address: IPAddress, port: UInt16, admits: Admits = .newConnections,
            nextHop: Int? = nil, portSpace: UInt16? = nil
        ) {
            self.id = id
            self.address = address
            self.port = port
            self.admits = admits
            self.nextHop = nextHop
            self.portSpace = portSpace
        }
    }

    /// Which connections a backend may have.
    public enum Admits: UInt8, Hashable, Sendable, BitwiseCopyable {
        /// None: those it had end at their next packet.
        case nothing
        /// Those it has.
        case trackedConnections
        /// Those it has, and new ones.
        case newConnections
    }

    /// An address that `snat` puts in place of the client's.
    public struct SNATAddress: Hashable, Sendable {
        /// Its number.
        public var id: UInt16
        /// The address.
        public var address: IPAddress
        /// Its ports, ascending and apart; divided among the workers.
        public var ports: [ClosedRange<UInt16>]
        /// Rest of a port between two connections, in milliseconds.
        public var reuseAfter: UInt32 = 30_000

        /// An address of its parts.
        public init(id: UInt16, address: IPAddress, ports: [ClosedRange<UInt16>]) {
            self.id = id
            self.address = address
            self.ports = ports
        }
    }

    /// An address, port and protocol that frames are steered by.
    public struct SteeringEndpoint: Hashable, Sendable {
        /// The address.
        public var address: IPAddress
        /// In host byte order; 0 stands for any, where that has a meaning.
        public var port: UInt16
        /// The transport protocol.
        public var transport: TransportProtocol

        /// An endpoint of its parts.
        public init(address: IPAddress, port: UInt16, transport: TransportProtocol) {
            self.address = address
            self.port = port
            self.transport = transport
        }
    }

    /// Destinations of packets from clients.
    public var steeredServices: Set<SteeringEndpoint> {
        Set(
            services.flatMap(\.keys).map {
                SteeringEndpoint(address: $0.vip, port: $0.port, transport: $0.transport)
            })
    }

    /// A route of the kernel's table.
    public struct Route: Hashable, Sendable {
        /// The destinations it is for.
        public var prefix: IPPrefix
        /// Index of the gateway in ``ForwardingPlan/nextHops``; `nil` when the destination itself
        /// is on the link.
        public var gateway: Int?

        /// A route of its parts.
        public init(prefix: IPPrefix, gateway: Int?) {
            self.prefix = prefix
            self.gateway = gateway
        }
    }

    /// Where frames go at layer 2.
    public struct NextHop: Hashable, Sendable {
        /// Its address.
        public var address: IPAddress
        /// Its hardware address; `nil` until the kernel has resolved it.
        public var mac: MACAddress?

        /// A next hop of its parts.
        public init(address: IPAddress, mac: MACAddress?) {
            self.address = address
            self.mac = mac
        }
    }
}
