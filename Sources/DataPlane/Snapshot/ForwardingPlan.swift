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
    /// What comes from others is the kernel's. Port 0 stands for any: of a backend that keeps the
    /// ports of a range.
    public var snatSources: Set<SteeringEndpoint> = []
    /// Workers that divide the SNAT ports.
    public var workerCount = 1
    /// Where packets to an address go, from the kernel's table.
    public var routes: [Route] = []
    /// The neighbours, and the next hops that are not resolved yet.
    public var nextHops: [NextHop] = []
    /// Whether a `dsr` flow without a table entry is forwarded by Maglev alone.
    public var forwardsStatelessly = true
    /// Whether fragments follow the first one of their datagram; otherwise they are dropped whole.
    public var tracksFragments = true
    /// New connections a second that one source may have on each worker; `nil` is no bound.
    ///
    /// Above it `dsr` goes by Maglev alone and `snat` drops.
    public var newPerSource: UInt32?
    /// What the load balancer says itself.
    public var icmp = ICMP()

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
        /// Its IPv4 address: the outer source of `dsr` towards backends of that family.
        public var ipv4: IPAddress?
        /// Its IPv6 address, likewise.
        public var ipv6: IPAddress?
        /// The VLAN that every frame carries (802.1Q), 1–4094; `nil` means that none does.
        public var vlan: UInt16?

        /// A link of its parts.
        public init(
            mac: MACAddress, mtu: Int, ipv4: IPAddress?, ipv6: IPAddress? = nil,
            vlan: UInt16? = nil
        ) {
            self.mac = mac
            self.mtu = mtu
            self.ipv4 = ipv4
            self.ipv6 = ipv6
            self.vlan = vlan
        }
    }

    /// The outer header of `dsr`.
    public struct Encapsulation: Hashable, Sendable {
        /// Prefix the outer source is hashed over; `nil` means the interface's address.
        public var ipv4SourcePrefix: IPPrefix?
        /// The same towards backends with an IPv6 address.
        public var ipv6SourcePrefix: IPPrefix?
        /// Time to live of the outer header.
        public var timeToLive: UInt8 = 64
        /// Fixed DSCP; `nil` copies the inner one.
        public var dscp: UInt8?
        /// Whether the sender of a packet that does not fit is told the size that would.
        public var repliesTooBig = true
        /// Whether the MSS of a SYN is lowered to what fits the tunnel.
        public var clampsMSS = false

        /// The defaults.
        public init() {}
    }

    /// What the load balancer says itself.
    public struct ICMP: Hashable, Sendable {
        /// Whether echo requests to a VIP are answered; if not, the kernel gets them.
        public var answersEcho = true
        /// Most error messages a second, over all workers.
        public var errorsPerSecond: UInt32 = 1000

        /// The defaults.
        public init() {}
    }

    /// What chooses the backend of a new flow.
    public enum Affinity: UInt8, Hashable, Sendable, CaseIterable, BitwiseCopyable {
        /// Addresses, ports and protocol.
        case fiveTuple
        /// The client's address alone.
        case clientAddress
        /// The destination port alone.
        case destinationPort
        /// The connection ID of QUIC (RFC 9000 §5.1), which outlives a change of the client's
        /// address; the five-tuple for datagrams that have none.
        case quicConnectionID
    }

    /// What becomes of a packet when no backend is eligible.
    public enum NoBackend: UInt8, Hashable, Sendable, CaseIterable, BitwiseCopyable {
        /// Dropped.
        case drop
        /// Answered with a RST, or ICMP port unreachable for UDP.
        case reject
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
        /// Numbers of the addresses that `snat` uses, of both families.
        public var snatAddresses: [UInt16]
        /// What chooses the backend of a new flow.
        public var affinity = Affinity.fiveTuple
        /// What happens when nobody is eligible.
        public var onNoBackend = NoBackend.drop
        /// Numbers of its backends, also of those that get no new connections.
        public var backends: [UInt16] = []
        /// Clients that are served; empty means all.
        public var sourceRanges: [IPPrefix] = []

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
        /// Those it has; a client that begins one anew gets another backend, as this one does not
        /// answer.
        case unansweredConnections
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
