// SPDX-License-Identifier: Apache-2.0

/// What the fragments of a packet have in common (RFC 791 §3.2, RFC 8200 §4.5).
struct FragmentKey: BitwiseCopyable {
    var source: IPAddress
    var destination: IPAddress
    var identification: UInt32
    var transport: UInt8

    /// The key as a five-tuple, to be hashed like one.
    var asFlow: FiveTuple {
        FiveTuple(
            source: source, destination: destination, ports: identification, transport: transport)
    }
}

/// What was decided on the first fragment of a packet: one cache line.
struct FragmentEntry: BitwiseCopyable {
    /// What is done with the other fragments.
    enum Action: UInt8, BitwiseCopyable {
        /// The entry is free.
        case none
        /// Dropped, as the first one was, or as it came too late.
        case drop
        /// Encapsulated to the backend.
        case encapsulate
        /// Translated for the backend of the connection.
        case translateToBackend
        /// Translated for the client of the connection.
        case translateToClient
        /// Given to another worker.
        case handOff
    }

    var key: FragmentKey
    /// Ports of the first fragment, source in the upper half.
    var ports: UInt32
    var created: UInt32
    /// Of `encapsulate`, the backend; of `handOff`, the worker.
    var target: UInt16
    var service: UInt16
    var action: Action
}

/// The packets of which fragments are under way.
///
/// Fragments after the first have no ports, so what was decided on the first is kept for them, for
/// as long as a receiver would wait for the rest. Bounded: a set of eight entries each, of which
/// the oldest makes room. A fragment that comes before the first one condemns the packet: all of
/// its fragments go to one server, or none does.
struct FragmentTable: ~Copyable {
    /// Packets at once.
    static let capacity = 8192
    private static let ways = 8
    /// Milliseconds an entry lasts: the lower bound for reassembly of RFC 791 §3.2.
    static let lifetime: UInt32 = 15_000

    private let entries: OwnedTable<FragmentEntry>
    /// When the latest entry was made; `nil` before the first.
    private var latest: Tick?

    init() {
        let zero = FiveTuple.zero.source
        let none = FragmentEntry(
            key: FragmentKey(source: zero, destination: zero, identification: 0, transport: 0),
            ports: 0, created: 0, target: 0, service: 0, action: .none)
        entries = OwnedTable(repeating: none, count: Self.capacity)
    }

    /// The decision on a packet that is not too old; `nil` when there is none.
    func find(_ key: FragmentKey, _ hash: UInt64, at tick: Tick) -> FragmentEntry? {
        let first = Self.firstIndex(hash)
        for index in first..<first + Self.ways where isAlive(index, tick) {
            if FiveTuple.same(entries.table[index].key.asFlow, key.asFlow) {
                return entries.table[index]
            }
        }
        return nil
    }

    /// Keeps a decision, in place of an earlier one on the same packet or of the oldest.
    mutating func insert(_ entry: FragmentEntry, _ hash: UInt64, at tick: Tick) {
        let first = Self.firstIndex(hash)
        var oldest = first
        for index in first..<first + Self.ways {
            let other = entries.table[index]
            guard isAlive(index, tick), !FiveTuple.same(other.key.asFlow, entry.key.asFlow) else {
                oldest = index
                break
            }
            let age = tick.elapsed(since: Tick(milliseconds: other.created))
            let most = tick.elapsed(
                since: Tick(milliseconds: entries.table[oldest].created))
            if age > most { oldest = index }
        }
        entries.table[oldest] = entry
        latest = tick
    }

    /// Entries in use.
    ///
    /// Looks at all of them, unless the latest is too old for any to be.
    func count(at tick: Tick) -> Int {
        guard let latest, tick.elapsed(since: latest) < Self.lifetime else { return 0 }
        var count = 0
        for index in 0..<Self.capacity where isAlive(index, tick) { count &+= 1 }
        return count
    }

    private func isAlive(_ index: Int, _ tick: Tick) -> Bool {
        entries.table[index].action != .none
            && tick.elapsed(since: Tick(milliseconds: entries.table[index].created))
                < Self.lifetime
    }

    private static func firstIndex(_ hash: UInt64) -> Int {
        Int(truncatingIfNeeded: hash) & (capacity - 1) & ~(ways - 1)
    }
}
