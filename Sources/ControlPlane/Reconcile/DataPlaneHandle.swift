// SPDX-License-Identifier: Apache-2.0
public import DataPlane

/// What the control plane may ask of the data path.
///
/// The composition root implements it over the workers, the sockets and the steering program; the
/// control plane knows none of them.
public protocol DataPlaneHandle: Sendable {
    /// What was found and fixed at the start.
    var facts: DataPlaneFacts { get }

    /// The counters of each worker, in the order of their numbers.
    var counterPages: [CounterPage] { get }

    /// Hands a plan to the workers and to the steering program.
    ///
    /// Returns when every worker has acknowledged; the plan before is freed then.
    ///
    /// - Throws: ``PublishError`` when the steering program's maps could not be changed; the
    ///   workers then still run the plan before.
    func publish(_ plan: ForwardingPlan) async throws(PublishError)

    /// Lets every worker walk its connections.
    ///
    /// - Returns: One finished walk for each worker.
    func scan(_ filter: ConnectionFilter, _ action: ConnectionScan.Action) async -> [ConnectionScan]

    /// Runs one packet through a pipeline of its own.
    ///
    /// - Parameters:
    ///   - packet: The packet.
    ///   - plan: What is decided by.
    ///   - connection: A copy of the connection it belongs to.
    /// - Returns: What looking it up found, and what the pipeline did.
    /// - Throws: ``PublishError`` when there is no memory for it.
    func trace(
        _ packet: ProbePacket, under plan: ForwardingPlan, _ connection: ConnectionRecord?
    ) async throws(PublishError) -> (facts: TraceFacts, outcome: TraceOutcome)

    /// Memory for copies of frames; nothing is copied before ``CaptureSource/start()``.
    ///
    /// - Throws: ``PublishError`` when there is no memory for it.
    func capture(_ settings: CaptureSettings) throws(PublishError) -> any CaptureSource

    /// What the kernel counts for the sockets and the steering program.
    func kernelCounters() -> KernelCounters
}

/// Why a plan could not be published.
public struct PublishError: Error, CustomStringConvertible {
    /// What was attempted, on what, and the kernel's answer.
    public let description: String

    /// An error with its text.
    public init(_ description: String) { self.description = description }
}

/// What was found and fixed at the start.
public struct DataPlaneFacts: Equatable, Sendable {
    /// Linux's name of the interface.
    public var interface: String
    /// Linux's number of it.
    public var interfaceIndex: Int
    /// Its driver.
    public var driver: String
    /// `native` or `generic`, as attached.
    public var attachMode: String
    /// `zerocopy` or `copy`, as the kernel says.
    public var bindMode: String
    /// NUMA node; `nil` when the machine has one.
    public var numaNode: Int?
    /// Workers in the order of their numbers.
    public var workers: [WorkerFacts]
    /// UMEM of all queues, in bytes.
    public var umemBytes: Int
    /// Connection tables and SNAT ports of all workers, in bytes.
    public var tableBytes: Int
    /// Entries of each worker's connection table.
    public var connectionsPerWorker: Int
    /// Whether UMEM and tables are on huge pages.
    public var usesHugePages: Bool

    /// Facts of their parts.
    public init(
        interface: String, interfaceIndex: Int, driver: String, attachMode: String,
        bindMode: String, numaNode: Int?, workers: [WorkerFacts], umemBytes: Int, tableBytes: Int,
        connectionsPerWorker: Int, usesHugePages: Bool
    ) {
        self.interface = interface
        self.interfaceIndex = interfaceIndex
        self.driver = driver
        self.attachMode = attachMode
        self.bindMode = bindMode
        self.numaNode = numaNode
        self.workers = workers
        self.umemBytes = umemBytes
        self.tableBytes = tableBytes
        self.connectionsPerWorker = connectionsPerWorker
        self.usesHugePages = usesHugePages
    }
}

/// A worker's place.
public struct WorkerFacts: Equatable, Sendable {
    /// Its queue of the interface.
    public var queue: Int
    /// The CPU it is pinned to; `nil` when it is not.
    public var cpu: Int?

    /// Facts of their parts.
    public init(queue: Int, cpu: Int?) {
        self.queue = queue
        self.cpu = cpu
    }
}

/// What the kernel counts.
public struct KernelCounters: Equatable, Sendable {
    /// Frames the steering program redirected.
    public var redirected: UInt64 = 0
    /// Frames it passed as not ours.
    public var passed: UInt64 = 0
    /// Frames it passed because their queue had no socket.
    public var withoutSocket: UInt64 = 0
    /// Statistics of each worker's socket, in the order of their numbers.
    public var sockets: [SocketCounters] = []

    /// Frames that were lost before the pipeline or after it, for want of room in a ring.
    var ringLosses: UInt64 { sockets.reduce(0) { $0 + $1.ringLosses } }

    /// Zeros.
    public init() {}
}

/// What the kernel counts for a socket (XDP_STATISTICS), and who has the UMEM's chunks.
public struct SocketCounters: Equatable, Sendable {
    /// Dropped for other reasons than a full ring.
    public var rxDropped: UInt64 = 0
    /// Dropped because the RX ring was full.
    public var rxRingFull: UInt64 = 0
    /// Descriptors of the fill ring that were invalid.
    public var rxInvalid: UInt64 = 0
    /// Descriptors of the TX ring that were invalid.
    public var txInvalid: UInt64 = 0
    /// Times the fill ring was empty.
    public var fillRingEmpty: UInt64 = 0
    /// Times the TX ring was empty.
    public var txRingEmpty: UInt64 = 0
    /// Frames that were lost for want of room in a ring.
    var ringLosses: UInt64 { rxDropped + rxRingFull + rxInvalid + txInvalid }
    /// Chunks by owner: fill, rx, tx, completion, free.
    public var chunks: [String: Int] = [:]

    /// Zeros.
    public init() {}
}
