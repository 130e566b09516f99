// SPDX-License-Identifier: Apache-2.0
public import DataPlane
internal import Glibc
internal import Synchronization
public import XSKRing

/// The workers of an interface: starts them, hands snapshots over, passes requests on.
public final class WorkerPool: Sendable {
    /// Frames on the way from one worker to another, at most.
    private static let handoffCapacity = 512

    private let slot: SnapshotSlot
    let mailboxes: [WorkerMailbox]
    let mesh: WorkerMesh
    /// Bytes of a UMEM chunk: no frame is longer.
    let chunkSize: Int
    private let threads: Mutex<ThreadList>
    /// Memory of the workers' tables; freed after the threads were joined.
    private let tables: [TableMemory]
    /// The counters of each worker.
    public let counterPages: [CounterPage]

    /// How the pool is sized.
    public struct Layout: Sendable {
        /// Sizes of each worker's tables.
        public var capacity: PipelineCapacity
        /// What flow hashes are keyed with.
        public var hashKey: HashKey
        /// NUMA node for the tables.
        public var numaNode: Int?
        /// Whether tables are on huge pages.
        public var hugePages: HugePages
        /// Bytes of a UMEM chunk.
        public var chunkSize: Int
        /// Longest frame, in bytes.
        public var frameByteCount: Int
        /// CPU of each worker; `nil` for one that is not pinned.
        public var cpus: [Int?]
        /// How the workers run.
        public var options: WorkerOptions

        /// A layout of its parts.
        public init(
            capacity: PipelineCapacity, hashKey: HashKey, numaNode: Int?, hugePages: HugePages,
            chunkSize: Int, frameByteCount: Int, cpus: [Int?], options: WorkerOptions
        ) {
            self.capacity = capacity
            self.hashKey = hashKey
            self.numaNode = numaNode
            self.hugePages = hugePages
            self.chunkSize = chunkSize
            self.frameByteCount = frameByteCount
            self.cpus = cpus
            self.options = options
        }
    }

    /// Makes the tables of all workers and starts their threads.
    ///
    /// - Parameters:
    ///   - queues: The queues, one worker each.
    ///   - first: What they decide by until something is published.
    ///   - layout: Sizes, places and options.
    /// - Throws: ``WorkerPoolError`` when there is no memory, no thread or no such CPU; then no
    ///   thread runs.
    public init(
        queues: consuming XSKQueueList, first: consuming ForwardingSnapshot, layout: Layout
    ) throws(WorkerPoolError) {
        let count = queues.count
        var tables: [TableMemory] = []
        for worker in 0..<count {
            do throws(XSKError) {
                tables.append(try TableMemory(worker: worker, layout))
            } catch {
                throw WorkerPoolError(description: error.description)
            }
        }
        guard
            let mesh = WorkerMesh(
                workers: count, ringCapacity: Self.handoffCapacity,
                slotByteCount: (layout.frameByteCount + 63) & ~63)
        else { throw WorkerPoolError(description: "cannot make an eventfd for each worker") }
        let mailboxes = (0..<count).map { _ in WorkerMailbox() }
        let slot = SnapshotSlot(first, workers: count)
        var threads = ThreadList()

        for worker in 0..<count {
            let queue = queues.removeFirst()
            let memory = unsafe FrameMemory(
                base: queue.memory.baseAddress.unsafelyUnwrapped, byteCount: queue.memory.count,
                chunkSize: layout.chunkSize)
            let pipeline = unsafe Pipeline(
                worker: worker, memory: memory, tables: tables[worker].pipelineBytes,
                capacity: layout.capacity, counters: tables[worker].counters,
                hashKey: layout.hashKey)
            let parts = WorkerParts(
                queue: queue, pipeline: pipeline, counters: tables[worker].counters,
                mailbox: mailboxes[worker], memory: memory, options: layout.options,
                peers: mesh.peers(of: worker))
            let cell = HandOverCell(parts)
            do throws(WorkerThreadError) {
                threads.append(
                    try WorkerThread(name: "xdplb-worker-\(worker)", cpu: layout.cpus[worker]) {
                        guard let parts = cell.take() else { return }
                        var worker = Worker(parts, snapshots: slot.reader(for: worker))
                        worker.run()
                    })
            } catch {
                mailboxes.forEach { $0.stop() }
                mesh.ringAll()
                threads.joinAll()
                throw WorkerPoolError(description: error.description)
            }
        }
        self.slot = slot
        self.mailboxes = mailboxes
        self.mesh = mesh
        chunkSize = layout.chunkSize
        self.tables = tables
        counterPages = tables.map(\.counters)
        self.threads = Mutex(threads)
    }

    /// Bytes of all tables.
    public var tableByteCount: Int { tables.reduce(0) { $0 + $1.byteCount } }
    /// Whether all tables are on huge pages.
    public var usesHugePages: Bool { tables.allSatisfy(\.isHuge) }

    /// Makes a snapshot current, and returns when every worker has adopted it and the one before
    /// is freed.
    ///
    /// To be called by one task at a time.
    public func publish(_ snapshot: consuming ForwardingSnapshot) async {
        let retired = slot.exchange(snapshot)
        mesh.ringAll()
        while !slot.reclaim(retired) {
            try? await Task.sleep(for: .microseconds(200))
        }
    }

    /// Lets every worker walk its connections; returns when all have.
    public func scan(
        _ filter: ConnectionFilter, _ action: ConnectionScan.Action
    ) async -> [ConnectionScan] {
        let scans = mailboxes.map { _ in ConnectionScan(filter, action) }
        for (mailbox, scan) in zip(mailboxes, scans) { mailbox.request(scan) }
        mesh.ringAll()
        for scan in scans {
            while !scan.isDone { try? await Task.sleep(for: .microseconds(500)) }
        }
        return scans
    }

    /// Addresses that frames wait for since the last call.
    public func takeUnresolvedAddresses() -> Set<IPAddress> {
        mailboxes.reduce(into: []) { $0.formUnion($1.takeAddresses()) }
    }

    /// Ends all workers after their current round, and their sockets with them.
    public func stop() {
        mailboxes.forEach { $0.stop() }
        mesh.ringAll()
        threads.withLock { $0.joinAll() }
    }
}

/// Why the workers could not be started.
public struct WorkerPoolError: Error, CustomStringConvertible {
    /// What was attempted, on what, and the answer.
    public let description: String
}
