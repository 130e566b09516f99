// SPDX-License-Identifier: Apache-2.0
internal import Synchronization

/// Which connections are meant.
///
/// A field that is `nil` matches all.
public struct ConnectionFilter: Hashable, Sendable {
    /// Number of the service.
    public var service: UInt16?
    /// Number of the backend.
    public var backend: UInt16?
    /// The client's address.
    public var client: IPAddress?
    /// How far the connection is.
    public var state: ConnectionState?
    /// Number of the worker that has it.
    public var worker: UInt16?
    /// Number of the SNAT address that it has a port of.
    public var snatAddress: UInt16?

    /// Leaves out those that are over: a FIN or RST was seen, and nothing for five seconds.
    ///
    /// They are tracked on, for late segments, but nobody waits for them.
    public var isInUse = false

    /// Idle time after which a closing connection is over, in milliseconds.
    private static let over: UInt32 = 5000

    /// Matches all connections.
    public init() {}

    func matches(_ entry: ConnectionEntry, at tick: Tick) -> Bool {
        guard
            entry.state != .free && service ?? entry.service == entry.service
                && backend ?? entry.backend == entry.backend
                && client ?? entry.key.source == entry.key.source
                && state ?? entry.state == entry.state
                && snatAddress.map { entry.mode == .snat && entry.snatAddress == $0 } ?? true
        else { return false }
        let idle = tick.elapsed(since: Tick(milliseconds: entry.lastSeen))
        return !(isInUse && entry.state.isReopenable && idle >= Self.over)
    }
}

/// A connection as it was when its worker looked at it.
public struct ConnectionRecord: Hashable, Sendable, BitwiseCopyable {
    /// From the client to the VIP.
    public var flow: FiveTuple
    /// Number of its service.
    public var service: UInt16
    /// Number of its backend.
    public var backend: UInt16
    /// How its packets are forwarded.
    public var mode: ForwardingMode
    /// How far it is.
    public var state: ConnectionState
    /// Number of its SNAT address; meaningless in `dsr`.
    public var snatAddress: UInt16
    /// Its SNAT port; 0 in `dsr`.
    public var snatPort: UInt16
    /// Milliseconds since its first packet.
    public var ageMilliseconds: UInt32
    /// Milliseconds since its latest packet.
    public var idleMilliseconds: UInt32
    /// Packets of both directions.
    public var packets: UInt32
    /// The worker that has it.
    public var worker: UInt16
}

/// A walk over the connections of one worker: made and read by the control plane, carried out by
/// the worker in steps between batches.
///
/// The worker writes until ``isDone`` is set with release ordering; the control plane reads the
/// results after it saw that with acquire ordering.
@safe
public final class ConnectionScan: @unchecked Sendable {
    /// What is done with a connection that matches.
    public enum Action: Sendable {
        /// It is counted, and the first ones are copied.
        case list(limit: Int)
        /// It is ended.
        case flush
        /// It is counted by the SNAT port that it has, and the fragment table is counted.
        case census(TableCensus.Layout)
    }

    /// Most connections that are copied.
    public static let maximumLimit = 1_000_000

    let filter: ConnectionFilter
    let ends: Bool
    /// Where a census is taken down; `nil` when the walk is none.
    public let census: TableCensus?
    private let limit: Int
    private let records: UnsafeMutablePointer<ConnectionRecord>
    private var recordCount = 0
    private var matchCount = 0
    private let done = Atomic<Bool>(false)

    /// A walk that has not begun.
    public init(_ filter: ConnectionFilter, _ action: Action) {
        self.filter = filter
        switch action {
        case .list(let limit): self.limit = min(max(limit, 0), Self.maximumLimit)
        case .flush, .census: limit = 0
        }
        if case .flush = action { ends = true } else { ends = false }
        if case .census(let layout) = action {
            census = TableCensus(layout)
        } else {
            census = nil
        }
        unsafe records = .allocate(capacity: max(self.limit, 1))
    }

    deinit { unsafe records.deallocate() }

    /// Whether the worker has come to the end.
    public var isDone: Bool { done.load(ordering: .acquiring) }

    /// Connections that matched.
    ///
    /// - Precondition: ``isDone``.
    public var matched: Int {
        precondition(isDone)
        return matchCount
    }

    /// The first connections that matched, at most the limit.
    ///
    /// - Precondition: ``isDone``.
    public var results: [ConnectionRecord] {
        precondition(isDone)
        return unsafe Array(UnsafeBufferPointer(start: records, count: recordCount))
    }

    func add(_ record: @autoclosure () -> ConnectionRecord) {
        matchCount &+= 1
        guard recordCount < limit else { return }
        unsafe (records + recordCount).initialize(to: record())
        recordCount += 1
    }

    /// Says that the worker is done, or will never be.
    public func finish() { done.store(true, ordering: .releasing) }
}

extension Pipeline {
    /// Entries that one step of a walk looks at.
    static let scanStep: UInt32 = 2048

    /// Carries a walk on by one step.
    ///
    /// - Parameters:
    ///   - scan: The walk.
    ///   - cursor: Where it stands; starts at 0.
    ///   - snapshot: What connections are ended by.
    ///   - tick: The time, for ages.
    /// - Returns: Whether it has come to the end.
    public mutating func advance(
        _ scan: ConnectionScan, from cursor: inout UInt32,
        _ snapshot: borrowing ForwardingSnapshot, at tick: Tick
    ) -> Bool {
        if let wanted = scan.filter.worker, Int(wanted) != Int(worker) { return true }
        if let census = scan.census { return advance(census, from: &cursor, snapshot, at: tick) }
        let end = min(connections.highWaterMark, cursor &+ Self.scanStep &+ 1)
        var index = cursor &+ 1
        while index < end {
            if scan.filter.matches(connections[index], at: tick) {
                scan.add(record(of: index, tick))
                if scan.ends { self.end(index, for: .evictionsFlush, snapshot) }
            }
            index &+= 1
        }
        cursor = index &- 1
        return index >= connections.highWaterMark
    }

    private func record(of index: UInt32, _ tick: Tick) -> ConnectionRecord {
        let entry = connections[index]
        return ConnectionRecord(
            flow: entry.key, service: entry.service, backend: entry.backend, mode: entry.mode,
            state: entry.state, snatAddress: entry.snatAddress, snatPort: entry.snatPort,
            ageMilliseconds: tick.elapsed(since: Tick(milliseconds: entry.created)),
            idleMilliseconds: tick.elapsed(since: Tick(milliseconds: entry.lastSeen)),
            packets: entry.packets, worker: UInt16(worker))
    }
}
