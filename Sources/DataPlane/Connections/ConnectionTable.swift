// SPDX-License-Identifier: Apache-2.0
internal import CXDP

/// The connections of one worker: buckets of tagged references, and a slab of entries.
///
/// A look-up reads one bucket, which is one cache line, and then one entry, which is another; the
/// pipeline prefetches both. An entry of `snat` has two references, one by the client's flow and
/// one by the reply's. Bounded: the memory is given at the start and never grows.
///
///     bucket: 15 references of 32 bits (tag 8, entry 24; 0 = none, no gaps), and a word that
///             counts the references that found it full and went to their second bucket
///
/// Flat and free of pointers, behind a ``TableHeader``.
@safe
struct ConnectionTable: ~Copyable {
    static let slotsPerBucket = 15
    private static let spillWord = 15
    private static let wordsPerBucket = 16
    private static let entryMask: UInt32 = 0xff_ffff
    /// Most entries: references have 24 bits, and 0 means none.
    static let maximumCapacity = Int(entryMask)

    private let header: UnsafeMutablePointer<TableHeader>
    private let words: PowerOfTwoTable<UInt32>
    let entries: FixedTable<ConnectionEntry>
    private let bucketMask: Int

    /// Entries that can be in use at once.
    let capacity: Int

    /// Four references' room for each entry: two each at most, so buckets stay half empty.
    private static func bucketCount(capacity: Int) -> Int {
        powerOfTwo(atLeast: (capacity * 4 + slotsPerBucket) / (slotsPerBucket + 1), floor: 2)
    }

    /// Bytes of memory that a table of `capacity` entries takes.
    static func byteCount(capacity: Int) -> Int {
        TableHeader.byteCount + bucketCount(capacity: capacity) * wordsPerBucket * 4
            + (capacity + 1) * MemoryLayout<ConnectionEntry>.stride
    }

    /// An empty table in `memory`, which must be zero and outlive it.
    ///
    /// - Precondition: `memory` is aligned to 64 bytes and of ``byteCount(capacity:)`` bytes;
    ///   `capacity` is within ``maximumCapacity``.
    init(in memory: UnsafeMutableRawBufferPointer, capacity: Int, hashKeyIdentity: UInt64) {
        precondition((1...Self.maximumCapacity).contains(capacity))
        precondition(memory.count >= Self.byteCount(capacity: capacity))
        guard let start = memory.baseAddress else { preconditionFailure("no memory") }
        let bucketCount = Self.bucketCount(capacity: capacity)
        let wordCount = bucketCount * Self.wordsPerBucket
        let wordStart = unsafe start + TableHeader.byteCount
        let entryStart = unsafe wordStart + wordCount * 4
        unsafe header = start.bindMemory(to: TableHeader.self, capacity: 1)
        unsafe header.initialize(
            to: TableHeader(capacity: capacity, hashKeyIdentity: hashKeyIdentity))
        words = unsafe PowerOfTwoTable(
            wordStart.bindMemory(to: UInt32.self, capacity: wordCount), count: wordCount)
        entries = unsafe FixedTable(
            entryStart.bindMemory(to: ConnectionEntry.self, capacity: capacity + 1),
            count: capacity + 1)
        bucketMask = bucketCount - 1
        self.capacity = capacity
    }

    /// Entries in use.
    @inline(__always)
    var count: Int { unsafe Int(header.pointee.used) }

    /// The first index that was never used: all connections lie below it.
    var highWaterMark: UInt32 { unsafe header.pointee.untouched }

    /// The entry at a reference.
    @inline(__always)
    subscript(index: UInt32) -> ConnectionEntry {
        unsafeAddress { unsafe entries.address(of: Int(index)) }
        nonmutating unsafeMutableAddress { unsafe entries.mutableAddress(of: Int(index)) }
    }

    // MARK: Look-up

    @inline(__always)
    func prefetchBucket(_ hash: UInt64) { buckets.prefetch(hash) }

    /// The line that an insertion writes, after `ahead` others.
    @inline(__always)
    func prefetchFree(after ahead: UInt32) {
        let next = unsafe header.pointee.firstFree
        unsafe entries.prefetch(Int(next != 0 ? next : header.pointee.untouched &+ ahead))
    }

    /// The buckets by themselves, to be searched in a loop.
    var buckets: Buckets { Buckets(words: words) }

    /// The buckets of a table, as long as it lives.
    struct Buckets {
        fileprivate let words: PowerOfTwoTable<UInt32>

        @inline(__always)
        func prefetch(_ hash: UInt64) { words.prefetch(firstWord(hash)) }

        /// The first entry whose tag fits the hash, to be prefetched; 0 when none does.
        @inline(__always)
        func candidate(_ hash: UInt64) -> UInt32 {
            let bucket = unsafe words.address(of: firstWord(hash))
            let matches = unsafe xdplb_tag_matches(bucket, tag(hash))
            if matches != 0 {
                let found = unsafe bucket[matches.trailingZeroBitCount >> 1] & entryMask
                // What is empty has a tag of 0, too.
                if found != 0 { return found }
            }
            // There are no gaps: with the last one of the half, all behind it are empty.
            if unsafe bucket[7] | bucket[spillWord] == 0 { return 0 }
            return rareCandidate(hash)
        }

        /// The same in the second half of the bucket, and in the second bucket.
        @inline(never)
        private func rareCandidate(_ hash: UInt64) -> UInt32 {
            let first = firstWord(hash)
            let found = candidate(from: 8, inBucketAt: first, tag(hash))
            if found != 0 || words[first &+ spillWord] == 0 { return found }
            let second = spillWordIndex(hash, words.count / wordsPerBucket - 1)
            return candidate(from: 0, inBucketAt: second, tag(hash))
        }

        private func candidate(
            from start: Int, inBucketAt first: Int, _ tag: UInt32
        ) -> UInt32 {
            for position in start..<slotsPerBucket {
                let word = words[first &+ position]
                if word == 0 { return 0 }
                if word & ~entryMask == tag { return word & entryMask }
            }
            return 0
        }
    }

    /// The entry that has the tag of the hash and satisfies `isWanted`; 0 when none does.
    @inline(__always)
    func find(_ hash: UInt64, where isWanted: (UInt32) -> Bool) -> UInt32 {
        let first = Self.firstWord(hash)
        let tag = Self.tag(hash)
        let found = find(inBucketAt: first, tag, where: isWanted)
        if found != 0 || words[first &+ Self.spillWord] == 0 { return found }
        return find(inBucketAt: Self.spillWordIndex(hash, bucketMask), tag, where: isWanted)
    }

    @inline(__always)
    private func find(
        inBucketAt first: Int, _ tag: UInt32, where isWanted: (UInt32) -> Bool
    ) -> UInt32 {
        for position in 0..<Self.slotsPerBucket {
            let word = words[first &+ position]
            if word == 0 { return 0 }
            if word & ~Self.entryMask == tag && isWanted(word & Self.entryMask) {
                return word & Self.entryMask
            }
        }
        return 0
    }

    // MARK: Change

    /// Whether an entry is free that can be found by a hash, and one more in the same bucket.
    @inline(__always)
    func hasRoom(for hash: UInt64) -> Bool {
        unsafe (header.pointee.firstFree != 0 || Int(header.pointee.untouched) <= capacity)
            && hasRoom(inBucketOf: hash)
    }

    /// Whether a bucket has two slots or more.
    @inline(__always)
    func hasRoom(inBucketOf hash: UInt64) -> Bool {
        let first = Self.firstWord(hash) &+ Self.slotsPerBucket
        return words[first &- 1] | words[first &- 2] == 0
    }

    /// A free entry; 0 when all are in use.
    ///
    /// Its content is undefined.
    @inline(__always)
    func allocate() -> UInt32 {
        let free = unsafe header.pointee.firstFree
        if free != 0 {
            let next = entries[Int(free)].lastSeen
            unsafe header.pointee.firstFree = next
            unsafe header.pointee.used &+= 1
            // The list goes through all of the table: its next line is wanted soon.
            entries.prefetch(Int(next))
            return free
        }
        let next = unsafe header.pointee.untouched
        guard Int(next) <= capacity else { return 0 }
        unsafe header.pointee.untouched = next &+ 1
        unsafe header.pointee.used &+= 1
        return next
    }

    /// Takes an entry back that nothing refers to any more.
    @inline(__always)
    func release(_ index: UInt32) {
        entries[Int(index)].state = .free
        unsafe entries[Int(index)].lastSeen = header.pointee.firstFree
        unsafe header.pointee.firstFree = index
        unsafe header.pointee.used &-= 1
    }

    /// Makes an entry findable by a hash; `false` when both buckets of the hash are full.
    @inline(__always)
    func link(_ index: UInt32, by hash: UInt64) -> Bool {
        let first = Self.firstWord(hash)
        let word = Self.tag(hash) | index
        if append(word, toBucketAt: first) { return true }
        guard append(word, toBucketAt: Self.spillWordIndex(hash, bucketMask)) else { return false }
        words[first &+ Self.spillWord] &+= 1
        return true
    }

    /// Ends that an entry is found by a hash; nothing happens when it was not.
    func unlink(_ index: UInt32, by hash: UInt64) {
        let first = Self.firstWord(hash)
        let word = Self.tag(hash) | index
        if remove(word, fromBucketAt: first) { return }
        guard words[first &+ Self.spillWord] != 0,
            remove(word, fromBucketAt: Self.spillWordIndex(hash, bucketMask))
        else { return }
        words[first &+ Self.spillWord] &-= 1
    }

    /// The entries that share the bucket of a hash, in no order: where room can be made for it.
    func neighbours(of hash: UInt64, _ body: (UInt32) -> Void) {
        for first in [Self.firstWord(hash), Self.spillWordIndex(hash, bucketMask)] {
            for position in 0..<Self.slotsPerBucket where words[first &+ position] != 0 {
                body(words[first &+ position] & Self.entryMask)
            }
        }
    }

    @inline(__always)
    private func append(_ word: UInt32, toBucketAt first: Int) -> Bool {
        let free = freeSlots(inBucketAt: first)
        guard free != 0 else { return false }
        words[first &+ free.trailingZeroBitCount] = word
        return true
    }

    /// The free slots of a bucket, one bit each: the last ones, as there are no gaps.
    @inline(__always)
    private func freeSlots(inBucketAt first: Int) -> UInt32 {
        unsafe xdplb_zero_words(words.address(of: first)) & (1 << UInt32(Self.slotsPerBucket) - 1)
    }

    private func remove(_ word: UInt32, fromBucketAt first: Int) -> Bool {
        var hole = -1
        var last = -1
        for position in 0..<Self.slotsPerBucket {
            let found = words[first &+ position]
            if found == 0 { break }
            if found == word { hole = position }
            last = position
        }
        guard hole >= 0 else { return false }
        words[first &+ hole] = words[first &+ last]
        words[first &+ last] = 0
        return true
    }

    // The lower half of the hash: the Maglev slot is chosen by the upper one.
    @inline(__always)
    private static func firstWord(_ hash: UInt64) -> Int {
        Int(truncatingIfNeeded: hash) &* wordsPerBucket
    }

    @inline(__always)
    private static func tag(_ hash: UInt64) -> UInt32 {
        UInt32(truncatingIfNeeded: hash) & ~entryMask
    }

    /// The second bucket of a hash, never the first again.
    @inline(__always)
    private static func spillWordIndex(_ hash: UInt64, _ mask: Int) -> Int {
        let first = Int(truncatingIfNeeded: hash)
        let second = Int(truncatingIfNeeded: hash >> 32)
        let bucket = (first ^ second) & mask == 0 ? second ^ 1 : second
        return bucket &* wordsPerBucket
    }
}

/// What stands in front of a table in its memory, so that another process can tell whether it
/// knows the layout.
struct TableHeader: BitwiseCopyable {
    /// One cache line.
    static let byteCount = 64
    /// "XDPLBCT" and a layout version.
    private static let magic: UInt64 = 0x5844_504c_4243_5400
    private static let layoutVersion: UInt64 = 2

    var magicAndVersion: UInt64
    var entryByteCount: UInt32
    var capacity: UInt32
    var hashKeyIdentity: UInt64
    var generation: UInt64
    /// Index of a released entry, the head of a list through them; 0 when there is none.
    var firstFree: UInt32
    /// Index of the first entry that was never used.
    var untouched: UInt32
    var used: UInt32

    init(capacity: Int, hashKeyIdentity: UInt64) {
        magicAndVersion = Self.magic | Self.layoutVersion
        entryByteCount = UInt32(MemoryLayout<ConnectionEntry>.stride)
        self.capacity = UInt32(capacity)
        self.hashKeyIdentity = hashKeyIdentity
        generation = 0
        firstFree = 0
        untouched = 1
        used = 0
    }
}
