// SPDX-License-Identifier: Apache-2.0
internal import DataPlane
internal import Synchronization
public import XSKRing

/// Queues on their way to their workers, in order: an array cannot hold what cannot be copied.
public struct XSKQueueList: ~Copyable, Sendable {
    private var cells: [HandOverCell<XSKQueue>] = []
    /// Descriptors of the queues' sockets, in order.
    public private(set) var fileDescriptors: [Int32] = []

    /// An empty list.
    public init() {}

    /// Queues in the list.
    public var count: Int { cells.count }

    /// Adds a queue at the end.
    public mutating func append(_ queue: consuming XSKQueue) {
        fileDescriptors.append(queue.fileDescriptor)
        cells.append(HandOverCell(queue))
    }

    /// Takes the first queue out.
    ///
    /// - Precondition: The list is not empty.
    mutating func removeFirst() -> XSKQueue {
        guard let queue = cells.removeFirst().take() else { preconditionFailure("taken twice") }
        return queue
    }
}

/// Holds a value that cannot be copied until the thread it is for takes it.
final class HandOverCell<Value: ~Copyable>: Sendable where Value: Sendable {
    private let value: Mutex<Value?>

    init(_ value: consuming Value) { self.value = Mutex(value) }

    func take() -> Value? { value.withLock { $0.take() } }
}

/// Threads of the pool, to be joined once.
struct ThreadList: ~Copyable, Sendable {
    private var threads: [HandOverCell<WorkerThread>] = []

    mutating func append(_ thread: consuming WorkerThread) { threads.append(HandOverCell(thread)) }

    mutating func joinAll() {
        for thread in threads { thread.take()?.join() }
        threads = []
    }
}

/// Memory of one worker's tables and counters.
final class TableMemory: Sendable {
    private let region: MemoryRegion
    private let counterRegion: MemoryRegion

    init(worker: Int, _ layout: WorkerPool.Layout) throws(XSKError) {
        region = try MemoryRegion(
            name: "xdplb-tables-\(worker)", byteCount: layout.capacity.byteCount,
            node: layout.numaNode, hugePages: layout.hugePages, touched: true)
        counterRegion = try MemoryRegion(
            name: "xdplb-counters-\(worker)", byteCount: CounterPage.byteCount,
            node: layout.numaNode, hugePages: .never, touched: false)
    }

    var byteCount: Int { region.byteCount + counterRegion.byteCount }
    var isHuge: Bool { region.isHuge }
    var pipelineBytes: UnsafeMutableRawBufferPointer { unsafe region.bytes }
    var counters: CounterPage { unsafe CounterPage(in: counterRegion.bytes) }
}
