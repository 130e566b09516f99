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
    /// Whether the dashboard is served.
    public var hasDashboard = true
    /// Lowest level that is logged.
    public var logLevel = LogLevel.info
    /// How it is logged.
    public var logFormat = LogFormat.logfmt
    /// Mode of services that a command creates without naming one.
    public var defaultMode = ForwardingMode.dsr
    /// Policy of services that a command creates.
    public var defaultPolicy = ServicePolicy()

    /// A configuration of an interface, and defaults for the rest.
    public init(interface: InterfaceConfiguration) { self.interface = interface }
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
    /// How the worker has the kernel take packets from the NIC; `nil` leaves that to interrupts.
    public var busyPoll: BusyPoll?

    /// Polling of the NIC by system calls of the worker, with interrupts put off meanwhile.
    public struct BusyPoll: Equatable, Sendable {
        /// Packets that a call takes at most.
        public var budget = 64
        /// Microseconds that a call polls for at most, when there are fewer.
        public var microseconds = 20
    }
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
