// SPDX-License-Identifier: Apache-2.0
internal import Synchronization

/// The counters of one worker.
///
/// Written by that worker alone, with a plain load and store each; read by any thread, with
/// relaxed loads, so that a reader sees every counter whole and no two of them at one moment.
/// Flat memory that it does not own.
@safe
public struct CounterPage: @unchecked Sendable {
    /// Services that have counters.
    public static let serviceCapacity = 4096
    /// Backends that have counters.
    public static let backendCapacity = 65_536
    /// SNAT addresses that have a counter.
    public static let snatAddressCapacity = 4096

    private static let serviceStride = 8
    private static let backendStride = 4
    private static let firstDrop = Counter.allCases.count
    private static let firstService = (firstDrop + DropReason.allCases.count + 7) & ~7
    private static let firstBackend = firstService + serviceCapacity * serviceStride
    private static let firstSNATAddress = firstBackend + backendCapacity * backendStride
    private static let firstExample = firstSNATAddress + snatAddressCapacity
    private static let wordCount =
        firstExample + DropReason.allCases.count * DropExample.wordCount

    /// Bytes of memory that a page takes.
    public static var byteCount: Int { wordCount * 8 }

    private let words: UnsafeMutablePointer<Atomic<UInt64>>

    /// A page in `memory`, which must be zero and outlive it.
    ///
    /// - Precondition: `memory` is aligned to 64 bytes and of ``byteCount`` bytes.
    public init(in memory: UnsafeMutableRawBufferPointer) {
        precondition(memory.count >= Self.byteCount)
        guard let start = memory.baseAddress else { preconditionFailure("no memory") }
        unsafe words = start.bindMemory(to: Atomic<UInt64>.self, capacity: Self.wordCount)
    }

    // MARK: Reading, from any thread

    /// The value of a counter.
    public subscript(counter: Counter) -> UInt64 { load(counter.rawValue) }

    /// Frames dropped for a reason.
    public subscript(reason: DropReason) -> UInt64 { load(Self.firstDrop + Int(reason.rawValue)) }

    /// A counter of a service; 0 beyond the capacity.
    public subscript(service id: UInt16, counter: ServiceCounter) -> UInt64 {
        Int(id) < Self.serviceCapacity ? load(Self.index(id, counter)) : 0
    }

    /// A counter of a backend; 0 beyond the capacity.
    public subscript(backend id: UInt16, counter: BackendCounter) -> UInt64 {
        Int(id) < Self.backendCapacity ? load(Self.index(id, counter)) : 0
    }

    /// Flows for which no SNAT port was free, by the first address they might have had; 0 beyond
    /// the capacity.
    public subscript(failuresOfSNATAddress id: UInt16) -> UInt64 {
        Int(id) < Self.snatAddressCapacity ? load(Self.firstSNATAddress + Int(id)) : 0
    }

    private func load(_ index: Int) -> UInt64 { unsafe words[index].load(ordering: .relaxed) }

    // MARK: Writing, by the worker

    /// Adds to a counter.
    public func add(_ count: UInt64, to counter: Counter) { add(count, at: counter.rawValue) }

    /// Sets a counter that is a level.
    public func set(_ counter: Counter, to value: UInt64) {
        unsafe words[counter.rawValue].store(value, ordering: .relaxed)
    }

    /// Counts a dropped frame.
    public func add(_ reason: DropReason) { add(1, at: Self.firstDrop + Int(reason.rawValue)) }

    /// Counts a flow for which no SNAT port was free.
    func addFailure(ofSNATAddress id: UInt16) {
        guard Int(id) < Self.snatAddressCapacity else { return }
        add(1, at: Self.firstSNATAddress + Int(id))
    }

    @inline(__always)
    func add(_ count: UInt64, to counter: ServiceCounter, ofService id: UInt16) {
        guard Int(id) < Self.serviceCapacity else { return }
        add(count, at: Self.index(id, counter))
    }

    @inline(__always)
    func add(_ count: UInt64, to counter: BackendCounter, ofBackend id: UInt16) {
        guard Int(id) < Self.backendCapacity else { return }
        add(count, at: Self.index(id, counter))
    }

    /// Counts a client's packet that goes to a backend.
    @inline(__always)
    func addIn(bytes: UInt64, of parties: Parties) {
        add(1, to: .packetsIn, ofService: parties.service)
        add(bytes, to: .bytesIn, ofService: parties.service)
        add(1, to: .packets, ofBackend: parties.backend)
        add(bytes, to: .bytes, ofBackend: parties.backend)
    }

    /// A connection of a service and a backend began: two levels and two totals rise.
    func beginConnection(service: UInt16, backend: UInt16) {
        add(1, to: .newConnections, ofService: service)
        add(1, to: .connections, ofService: service)
        add(1, to: .newConnections, ofBackend: backend)
        add(1, to: .connections, ofBackend: backend)
    }

    /// A connection of a service and a backend ended: two levels fall.
    func endConnection(service: UInt16, backend: UInt16) {
        add(.max, to: .connections, ofService: service)
        add(.max, to: .connections, ofBackend: backend)
    }

    /// Modulo 2⁶⁴: adding `.max` takes one away.
    @inline(__always)
    private func add(_ count: UInt64, at index: Int) {
        let word = unsafe words + index
        unsafe word.pointee.store(
            word.pointee.load(ordering: .relaxed) &+ count, ordering: .relaxed)
    }

    /// Where the example of a drop reason lies.
    func exampleWords(of reason: DropReason) -> UnsafeMutablePointer<Atomic<UInt64>> {
        unsafe words + Self.firstExample + Int(reason.rawValue) * DropExample.wordCount
    }

    private static func index(_ id: UInt16, _ counter: ServiceCounter) -> Int {
        firstService + Int(id) * serviceStride + counter.rawValue
    }

    private static func index(_ id: UInt16, _ counter: BackendCounter) -> Int {
        firstBackend + Int(id) * backendStride + counter.rawValue
    }
}
