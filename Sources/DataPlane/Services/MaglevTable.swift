// SPDX-License-Identifier: Apache-2.0

/// A consistent-hash table: every slot names the backend that gets the flows hashed to it.
///
/// Built as in "Maglev: A Fast and Reliable Software Network Load Balancer" (NSDI 2016) §3.4: each
/// backend has a permutation of the slots, made from two keyed hashes of its address, and takes
/// its next free one when it is its turn. Turns are in proportion to the weights. The order
/// backends are given in makes no difference: they are sorted by address and port first.
public final class MaglevTable: Sendable {
    /// A backend that takes part.
    public struct Member: Hashable, Sendable {
        /// What its permutation is made from.
        public let endpoint: Endpoint
        /// Its share relative to the others; 0 takes no slot.
        public let weight: UInt16
        /// The number that its slots hold.
        public let backend: UInt16

        /// A member of its parts.
        public init(endpoint: Endpoint, weight: UInt16, backend: UInt16) {
            self.endpoint = endpoint
            self.weight = weight
            self.backend = backend
        }
    }

    /// The primes a table may have slots: any prime would do, these are the ones that other load
    /// balancers use, from 251 to 655 373.
    public static let allowedSizes = [
        251, 509, 1021, 2039, 4093, 8191, 16381, 32749, 65521, 65537, 131_071, 655_373,
    ]

    /// The slot of a table that has no member.
    public static let nobody = UInt16.max

    /// Backend of each slot; ``nobody`` in all of them when there is no member of weight above 0.
    private let owned: SlotStorage

    /// Slots of each backend that has any.
    public let slotCounts: [UInt16: Int]

    /// Twelve hexadecimal digits that are equal on every load balancer with an equal table.
    public let fingerprint: String

    /// Builds the table.
    ///
    /// - Precondition: `size` is prime and no two members have one endpoint.
    public init(members: [Member], size: Int, key: HashKey) {
        let slots = Self.populate(members: members, size: size, key: key)
        owned = SlotStorage(slots)
        slotCounts = Self.counts(slots)
        fingerprint = Self.fingerprint(slots, members)
    }

    /// Slots of the table.
    public var count: Int { owned.slots.count }

    /// The backend of a slot.
    public subscript(slot: Int) -> UInt16 { owned.slots.backend(at: slot) }

    /// The slots for the data path; valid as long as the table is.
    var slots: MaglevSlots { owned.slots }

    /// Slots whose backend differs between the two tables.
    ///
    /// All of them when the sizes differ.
    public func movedSlots(to other: MaglevTable) -> Int {
        guard count == other.count else { return other.count }
        return (0..<count).reduce(0) { $0 + (self[$1] == other[$1] ? 0 : 1) }
    }

    private static func counts(_ slots: [UInt16]) -> [UInt16: Int] {
        var counts = [Int](repeating: 0, count: Int(nobody) + 1)
        for backend in slots { counts[Int(backend)] += 1 }
        counts[Int(nobody)] = 0
        return counts.enumerated().reduce(into: [:]) { result, item in
            if item.element > 0 { result[UInt16(item.offset)] = item.element }
        }
    }

    /// A hash over the endpoints of all slots, as numbers of backends are local to a process.
    private static func fingerprint(_ slots: [UInt16], _ members: [Member]) -> String {
        let zero = HashKey(low: 0, high: 0)
        var names = [UInt64](repeating: 0, count: Int(nobody) + 1)
        for member in members {
            names[Int(member.backend)] = SipHash.hash(
                member.endpoint.address.mappedBytes + bytes(of: member.endpoint.port ?? 0),
                key: zero)
        }
        var state: UInt64 = 0xcbf2_9ce4_8422_2325
        for backend in slots {
            // FNV-1a over words: it must tell tables apart, not withstand anybody.
            state = (state ^ names[Int(backend)]) &* 0x100_0000_01b3
            state ^= state >> 29
        }
        let digits = String(state & 0xffff_ffff_ffff, radix: 16)
        return String(repeating: "0", count: 12 - digits.count) + digits
    }

    private static func populate(members: [Member], size: Int, key: HashKey) -> [UInt16] {
        var slots = [UInt16](repeating: nobody, count: size)
        let members = members.filter { $0.weight > 0 }.sorted { $0.endpoint < $1.endpoint }
        guard let heaviest = members.map(\.weight).max() else { return slots }
        var permutations = members.map { Permutation(of: $0.endpoint, size: size, key: key) }
        // A turn is earned by weight: the heaviest has one each round, one of half its weight
        // every other round, so that the table is proportional at any number of slots filled.
        var credit = [Int](repeating: 0, count: members.count)
        var filled = 0
        while true {
            for (index, member) in members.enumerated() {
                credit[index] += Int(member.weight)
                guard credit[index] >= Int(heaviest) else { continue }
                credit[index] -= Int(heaviest)
                var slot = permutations[index].next()
                while slots[slot] != nobody { slot = permutations[index].next() }
                slots[slot] = member.backend
                filled += 1
                if filled == size { return slots }
            }
        }
    }

    private static func bytes(of port: UInt16) -> [UInt8] {
        [UInt8(port >> 8), UInt8(port & 255)]
    }

    /// The order in which a backend asks for slots (§3.4): `(offset + j × skip) mod size`.
    private struct Permutation {
        private var slot: Int
        private let skip: Int
        private let size: Int

        init(of endpoint: Endpoint, size: Int, key: HashKey) {
            let name = endpoint.address.mappedBytes + MaglevTable.bytes(of: endpoint.port ?? 0)
            let offset = SipHash.hash([UInt8]("offset".utf8) + name, key: key)
            let skip = SipHash.hash([UInt8]("skip".utf8) + name, key: key)
            slot = Int(offset % UInt64(size))
            self.skip = Int(skip % UInt64(size - 1)) + 1
            self.size = size
        }

        mutating func next() -> Int {
            defer {
                slot += skip
                if slot >= size { slot -= size }
            }
            return slot
        }
    }
}

extension HashKey {
    fileprivate init(low: UInt64, high: UInt64) {
        self.low = low
        self.high = high
    }
}

/// The slots of a table, for the data path.
///
/// Does not own them.
@safe
struct MaglevSlots: BitwiseCopyable, @unchecked Sendable {
    private let base: UnsafePointer<UInt16>
    let count: Int

    fileprivate init(_ base: UnsafePointer<UInt16>, count: Int) {
        unsafe self.base = base
        self.count = count
    }

    /// The backend of `slot`.
    @inline(__always)
    func backend(at slot: Int) -> UInt16 {
        precondition(UInt(bitPattern: slot) < UInt(bitPattern: count))
        return unsafe base[slot]
    }

    /// The slot of a flow: `word × count / 2³²`, uniform without a division.
    @inline(__always)
    func slot(for word: UInt32) -> Int {
        Int(truncatingIfNeeded: (UInt64(word) &* UInt64(count)) >> 32)
    }

    /// The backend of a flow: no check is needed, as the slot is in range by construction.
    @inline(__always)
    func backend(for word: UInt32) -> UInt16 { unsafe base[slot(for: word)] }

    @inline(__always)
    func prefetch(for word: UInt32) { unsafe DataPlane.prefetch(base + slot(for: word)) }
}

/// Owner of a table's slots.
@safe
private struct SlotStorage: ~Copyable, @unchecked Sendable {
    private let base: UnsafeMutablePointer<UInt16>
    let slots: MaglevSlots

    init(_ values: [UInt16]) {
        unsafe base = .allocate(capacity: values.count)
        for (index, value) in values.enumerated() {
            unsafe (base + index).initialize(to: value)
        }
        slots = unsafe MaglevSlots(base, count: values.count)
    }

    deinit { unsafe base.deallocate() }
}
