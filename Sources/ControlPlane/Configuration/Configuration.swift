// SPDX-License-Identifier: Apache-2.0
public import DataPlane

/// What the operator wrote, with every default filled in and every value checked by itself.
///
/// A value: nothing here knows of files, sockets or the host. ``ConfigurationReader`` makes it
/// from YAML, the quick form of `xdplb run` makes it from arguments.
public struct Configuration: Equatable, Sendable {
    /// Label in logs and on the dashboard; `nil` means the host's name.
    public var nodeName: String?
    /// Where frames come and go.
    ///
    /// This version takes exactly one.
    public var interface: InterfaceConfiguration
    /// How the workers run.
    public var workers = WorkerConfiguration()
    /// Where UMEM and tables live.
    public var memory = MemoryConfiguration()
    /// Maglev tables.
    public var maglev = MaglevConfiguration()
    /// Connection tables.
    public var connections = ConnectionConfiguration()
    /// What the load balancer says itself.
    public var icmp = ICMPConfiguration()
    /// The outer header of `dsr`.
    public var encapsulation = EncapsulationConfiguration()
    /// Named source addresses for `snat`.
    public var snatPools: [SNATPoolConfiguration] = []
    /// What is balanced, in the order of the file.
    public var services: [ServiceConfiguration] = []
    /// The admin socket.
    public var admin = AdminConfiguration()
    /// The read-only HTTP address; `nil` switches it off.
    public var httpListen: SocketAddressConfiguration? = .init(host: "127.0.0.1", port: 9660)
    /// Lowest level that is logged.
    public var logLevel = LogLevel.info
    /// Mode of services that a command creates without naming one.
    public var defaultMode = ForwardingMode.dsr
    /// Policy of services that a command creates.
    public var defaultPolicy = ServicePolicy()

    /// A configuration of an interface, and defaults for the rest.
    public init(interface: InterfaceConfiguration) { self.interface = interface }
}

/// A network device and how its queues are bound.
public struct InterfaceConfiguration: Equatable, Sendable {
    /// How the steering program is attached.
    public enum AttachMode: String, Sendable, CaseIterable {
        /// In the driver.
        case native
        /// In the network stack, slower.
        case generic
        /// Native where the driver has it, else generic.
        case auto
    }

    /// How AF_XDP sockets are bound.
    public enum BindMode: String, Sendable, CaseIterable {
        /// Zero-copy, or refuse to start.
        case zerocopy
        /// Copy mode.
        case copy
        /// Zero-copy where the driver has it, else copy mode; `status` says which.
        case auto
    }

    /// Linux's name of it, at most 15 bytes.
    public var name: String
    /// How the steering program is attached.
    public var attachMode = AttachMode.native
    /// How sockets are bound.
    public var bindMode = BindMode.auto
    /// Queues to bind, ascending; `nil` means all the NIC has.
    public var queues: [Int]?
    /// Descriptors of each RX ring, a power of two.
    public var rxRing = 4096
    /// Descriptors of each TX ring, a power of two.
    public var txRing = 4096
    /// Descriptors of each fill ring, a power of two.
    public var fillRing = 8192
    /// Descriptors of each completion ring, a power of two.
    public var completionRing = 4096
    /// Bytes of a UMEM chunk: 2048 or 4096.
    public var chunkSize = 4096
    /// The VLAN that every frame carries; `nil` means that none does.
    public var vlan: UInt16?
    /// Fixed next hops for everything sent, at most one of each family; a family without one
    /// follows the kernel's routes.
    public var fixedNextHops: [IPAddress] = []
    /// Facts that stand in for the interface in the offline commands.
    public var offline: OfflineInterface?

    /// An interface with default settings.
    public init(name: String) { self.name = name }
}

/// What the offline commands take for the interface, as no device is asked.
public struct OfflineInterface: Equatable, Sendable {
    /// Its hardware address.
    public var mac: MACAddress
    /// Its MTU in bytes.
    public var mtu: Int
    /// Its IPv4 address.
    public var ipv4: IPAddress?
    /// Its IPv6 address.
    public var ipv6: IPAddress?
    /// Hardware address of the one next hop.
    public var nextHopMAC: MACAddress
}

/// How the workers run.
public struct WorkerConfiguration: Equatable, Sendable {
    /// What a worker does when nothing arrives.
    public enum IdleStrategy: String, Sendable, CaseIterable {
        /// Polls on.
        case spin
        /// Polls for a while, then sleeps until the kernel wakes it.
        case adaptive
        /// Sleeps at once.
        case block
    }

    /// CPU of queue i; `nil` means the CPUs of the NIC's NUMA node, in turn.
    public var cores: [Int]?
    /// Most frames handled together: 1–64.
    public var batch = 64
    /// What a worker does when nothing arrives.
    public var idle = IdleStrategy.adaptive
}

/// Where UMEM and tables live.
public struct MemoryConfiguration: Equatable, Sendable {
    /// Whether 2 MiB pages are used.
    public enum HugePages: String, Sendable, CaseIterable {
        /// When there are any.
        case auto
        /// Or refuse to start.
        case require
        /// Never.
        case none
    }

    /// Whether 2 MiB pages are used.
    public var hugePages = HugePages.auto
    /// UMEM chunks of each queue.
    public var chunksPerQueue = 16384
}

/// Maglev tables.
public struct MaglevConfiguration: Equatable, Sendable {
    /// Slots of a table: one of ``MaglevTable/allowedSizes``.
    public var tableSize = 65537
    /// File of the hash key; `nil` means one made once and kept in the state directory.
    public var hashKeyFile: String?
}

/// Connection tables.
public struct ConnectionConfiguration: Equatable, Sendable {
    /// What happens to a flow when the table has no entry left.
    public enum TableFull: String, Sendable, CaseIterable {
        /// Forwarded by Maglev alone (`dsr`), dropped (`snat`).
        case stateless
        /// Dropped.
        case drop
    }

    /// Entries of each worker's table.
    public var entriesPerWorker = 1_048_576
    /// What happens to a flow when the table has no entry left.
    public var tableFull = TableFull.stateless
    /// What happens to fragments.
    public var fragments = Fragments.track
    /// New connections a second that one source may have; `nil` is no bound.
    public var newPerSource: UInt32?

    /// What happens to fragments.
    public enum Fragments: String, Sendable, CaseIterable {
        /// They follow the first one of their packet.
        case track
        /// They are dropped.
        case drop
    }
}

/// What the load balancer says itself.
public struct ICMPConfiguration: Equatable, Sendable {
    /// Whether echo requests to a VIP are answered.
    public var echoReply = true
    /// Most error messages a second.
    public var errorsPerSecond: UInt32 = 1000
}

/// The outer header of `dsr`.
public struct EncapsulationConfiguration: Equatable, Sendable {
    /// Prefix that the outer IPv4 source is hashed over, per flow; `nil` means the interface's
    /// address.
    public var ipv4SourcePrefix: IPPrefix?
    /// The same for the outer IPv6 source.
    public var ipv6SourcePrefix: IPPrefix?
    /// Whether the sender of a packet that does not fit is told so.
    public var tooBig = TooBig.reply
    /// Whether the MSS of SYNs is lowered to what fits.
    public var mssClamp = MSSClamp.none

    /// What happens to a packet that does not fit.
    public enum TooBig: String, Sendable, CaseIterable {
        /// Its sender gets ICMP with the size that would.
        case reply
        /// It is dropped in silence.
        case drop
    }

    /// Whether the MSS of SYNs is lowered.
    public enum MSSClamp: String, Sendable, CaseIterable {
        /// Never.
        case none
        /// To what fits the tunnel of the chosen backend.
        case auto
    }

    /// Time to live of the outer header: 1–255.
    public var outerTimeToLive: UInt8 = 64
    /// Fixed DSCP of the outer header, 0–63; `nil` copies the inner one.
    public var dscp: UInt8?
}

/// A named set of source addresses and ports for `snat`.
public struct SNATPoolConfiguration: Equatable, Sendable {
    /// Name that services use.
    public var name: String
    /// Addresses, in the order of the file, no two equal.
    public var addresses: [IPAddress]
    /// Ports of every address, divided among the workers.
    public var ports: ClosedRange<UInt16> = 1024...65535
    /// Rest of a port between two connections.
    public var reuseAfter = Duration.seconds(30)

    /// A pool of its parts.
    public init(
        name: String, addresses: [IPAddress], ports: ClosedRange<UInt16> = 1024...65535,
        reuseAfter: Duration = .seconds(30)
    ) {
        self.name = name
        self.addresses = addresses
        self.ports = ports
        self.reuseAfter = reuseAfter
    }
}

/// What a service may override from `defaults`.
public struct ServicePolicy: Equatable, Sendable {
    /// Idle times after which a connection ends.
    public var timeouts = ConnectionTimeouts()
    /// How long connections of a removed backend are kept.
    public var drainTimeout = Duration.seconds(300)
    /// What chooses the backend of a new flow.
    public var affinity = Affinity.fiveTuple
    /// What happens when no backend is eligible.
    public var onNoBackend = NoBackend.drop

    /// The defaults.
    public init() {}

    /// What chooses the backend of a new flow.
    public enum Affinity: String, Sendable, CaseIterable {
        /// Addresses, ports and protocol.
        case fiveTuple = "five_tuple"
        /// The client's address.
        case clientAddress = "client_address"
        /// The destination port.
        case destinationPort = "destination_port"
        /// The connection ID of QUIC.
        case quicConnectionID = "quic_cid"
    }

    /// What happens when no backend is eligible.
    public enum NoBackend: String, Sendable, CaseIterable {
        /// Packets are dropped.
        case drop
        /// They are answered with RST or ICMP unreachable.
        case reject
    }
}

/// Idle times after which a connection ends, by protocol and state.
public struct ConnectionTimeouts: Equatable, Sendable {
    /// TCP with a completed handshake; RFC 5382 REQ-5 asks for 7 440 s at least.
    public var tcpEstablished = Duration.seconds(8000)
    /// TCP that opens or closes; RFC 5382 REQ-5 asks for 240 s at least.
    public var tcpTransitory = Duration.seconds(240)
    /// UDP; RFC 4787 REQ-5 recommends 300 s.
    public var udp = Duration.seconds(300)
    /// ICMP queries; RFC 5508 REQ-2 asks for 60 s at least.
    public var icmp = Duration.seconds(60)

    /// The defaults.
    public init() {}
}

/// A service: VIPs, ports, policy and backends.
public struct ServiceConfiguration: Equatable, Sendable {
    /// Name, unique in the file.
    public var name: String
    /// The addresses clients connect to.
    public var vips: [IPPrefix]
    /// The ports of every VIP.
    public var ports: [ServicePort]
    /// How packets reach the backends.
    public var mode: ForwardingMode
    /// Pool of `snat`; `nil` means the interface's address.
    public var snatPool: String?
    /// What it overrides from `defaults`.
    public var policy: ServicePolicy
    /// Its backends, in the order of the file.
    public var backends: [BackendConfiguration]
    /// Name of the service whose backends it shares.
    public var backendsFrom: String?
    /// Clients that are served; empty means all.
    public var sourceRanges: [IPPrefix] = []
    /// With fewer eligible backends the service counts as down.
    public var minimumBackends = 1

    /// A service of its parts.
    public init(
        name: String, vips: [IPPrefix], ports: [ServicePort], mode: ForwardingMode,
        snatPool: String? = nil, policy: ServicePolicy = .init(),
        backends: [BackendConfiguration] = [], backendsFrom: String? = nil
    ) {
        self.name = name
        self.vips = vips
        self.ports = ports
        self.mode = mode
        self.snatPool = snatPool
        self.policy = policy
        self.backends = backends
        self.backendsFrom = backendsFrom
    }
}

/// Ports and protocol, written `80/tcp`, `8000-8099/tcp` or `any/udp`.
public struct ServicePort: Hashable, Sendable {
    /// The ports; ``ServiceKey/anyPort`` for `any`.
    public var ports: ClosedRange<UInt16>
    /// The transport protocol.
    public var transport: TransportProtocol

    /// Ports of their two parts.
    public init(ports: ClosedRange<UInt16>, transport: TransportProtocol) {
        self.ports = ports
        self.transport = transport
    }

    /// One port.
    public init(port: UInt16, transport: TransportProtocol) {
        self.init(ports: port...port, transport: transport)
    }

    /// The port when it is one only.
    public var port: UInt16? { ports.count == 1 ? ports.lowerBound : nil }
}

extension ServicePort: CustomStringConvertible {
    /// As it is written.
    public var description: String { "\(ServiceKey.text(of: ports))/\(transport)" }
}

/// What the operator declared of a backend.
public enum AdminState: String, Sendable, CaseIterable, Codable {
    /// Gets new connections.
    case active
    /// Gets no new ones and keeps those it has.
    case draining
    /// Gets no packet at all; its connections end.
    case disabled
}

/// A server that receives a service's flows.
public struct BackendConfiguration: Equatable, Sendable {
    /// Name, unique in the service; the address when none was given.
    public var name: String
    /// Its address.
    public var address: IPAddress
    /// Its port; `nil` means the service's.
    public var port: UInt16?
    /// Relative share of new connections, 0 = none.
    public var weight: UInt16
    /// What the operator declared of it.
    public var adminState: AdminState

    /// A backend of its parts.
    public init(
        name: String? = nil, address: IPAddress, port: UInt16? = nil, weight: UInt16 = 100,
        adminState: AdminState = .active
    ) {
        self.name = name ?? Endpoint(address: address, port: port).description
        self.address = address
        self.port = port
        self.weight = weight
        self.adminState = adminState
    }
}

/// The admin socket.
public struct AdminConfiguration: Equatable, Sendable {
    /// Path of the Unix socket.
    public var socket = "/run/xdplb/admin.sock"
    /// Group that may change things; `nil` means root alone.
    public var changeGroup: String?
    /// Group that may look; `nil` means root alone.
    public var readGroup: String?
}

/// Where the read-only HTTP server listens.
public struct SocketAddressConfiguration: Equatable, Sendable {
    /// An address, or a name that resolves to one.
    public var host: String
    /// A TCP port; 0 lets the kernel choose.
    public var port: Int

    /// An address of its two parts.
    public init(host: String, port: Int) {
        self.host = host
        self.port = port
    }
}

/// How much is logged.
public enum LogLevel: String, Sendable, CaseIterable {
    /// Everything.
    case debug
    /// Ordinary changes.
    case info
    /// Unusual changes.
    case notice
    /// What may need a person.
    case warning
    /// What failed.
    case error
}
