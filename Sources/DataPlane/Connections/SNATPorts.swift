// SPDX-License-Identifier: Apache-2.0

/// Which SNAT ports of one worker are in use, exactly.
///
/// A port of an address may serve one connection with each backend and protocol at a time, so
/// there is a set of bits for each of these: a bit for a port, and a summary bit for every 64 that
/// are all taken. A port is found in two steps however full the set is, and none is refused while
/// one is free (field.md trap 13). Ports are taken in turn, so that the one given is the one that
/// rested longest, give or take those freed out of turn.
///
/// Flat and free of pointers. Memory that no backend uses is never touched.
@safe
struct SNATPorts: ~Copyable {
    /// Sizes that are fixed at the start.
    struct Capacity: Hashable, Sendable {
        /// Backends that may have ports at once.
        var portSpaces: Int
        /// SNAT addresses.
        var addresses: Int
        /// Ports of an address that the worker owns, at most.
        var portsPerAddress: Int

        var wordsPerSet: Int { bitWords + summaryWords + 2 }
        var bitWords: Int { (portsPerAddress + 63) / 64 }
        var summaryWords: Int { (bitWords + 63) / 64 }
        var setCount: Int { portSpaces * addresses * 2 }
        /// Bytes of memory that the sets take.
        var byteCount: Int { setCount * wordsPerSet * 8 }
    }

    private let words: FixedTable<UInt64>
    private let capacity: Capacity
    // Of the capacity, which computes them by divisions.
    private let wordsPerSet: Int
    private let summaryWords: Int
    private let portsPerAddress: Int

    /// Empty sets in `memory`, which must be zero and outlive them.
    ///
    /// - Precondition: `memory` is aligned to 8 bytes and of ``Capacity/byteCount`` bytes.
    init(in memory: UnsafeMutableRawBufferPointer, capacity: Capacity) {
        precondition(memory.count >= capacity.byteCount)
        let count = capacity.setCount * capacity.wordsPerSet
        guard let start = memory.baseAddress, count > 0 else {
            preconditionFailure("no memory for SNAT ports")
        }
        words = unsafe FixedTable(start.bindMemory(to: UInt64.self, capacity: count), count: count)
        self.capacity = capacity
        wordsPerSet = capacity.wordsPerSet
        summaryWords = capacity.summaryWords
        portsPerAddress = capacity.portsPerAddress
    }

    /// One set: the ports of an address towards a backend over a protocol.
    struct Key {
        var portSpace: UInt16
        var address: UInt16
        var isUDP: Bool
    }

    /// Ports in use in a set.
    func usedCount(_ key: Key) -> Int {
        guard let set = firstWord(of: key) else { return 0 }
        return Int(words[set + 1])
    }

    /// Takes a port, counted from the first one the worker owns.
    ///
    /// - Parameters:
    ///   - key: The set.
    ///   - count: Ports the worker owns of this address.
    ///   - preferred: The one to take if it is free.
    /// - Returns: `nil` when every one of them is in use, or the set is beyond the capacity.
    func take(_ key: Key, of count: Int, preferring preferred: Int?) -> Int? {
        guard let set = firstWord(of: key),
            let port = choose(in: set, of: count, preferring: preferred)
        else { return nil }
        if port != preferred { words[set] = UInt64(port &+ 1 == count ? 0 : port &+ 1) }
        mark(port, in: set, of: count)
        return port
    }

    /// Takes a port that ``peek(_:of:preferring:)`` gave; `false` when it is in use.
    @inline(__always)
    func take(_ port: Int, _ key: Key, of count: Int) -> Bool {
        guard let set = firstWord(of: key), port < count, count <= portsPerAddress,
            words[bits(set) &+ port >> 6].isClear(port)
        else { return false }
        // Where the last one was found there are mostly more.
        if words[set] == UInt64(port) { words[set] = UInt64(port &+ 1 == count ? 0 : port &+ 1) }
        mark(port, in: set, of: count)
        return true
    }

    /// The port that ``take(_:of:preferring:)`` would take.
    @inline(__always)
    func peek(_ key: Key, of count: Int, preferring preferred: Int?) -> Int? {
        guard let set = firstWord(of: key) else { return nil }
        return choose(in: set, of: count, preferring: preferred)
    }

    @inline(__always)
    private func choose(in set: Int, of count: Int, preferring preferred: Int?) -> Int? {
        guard count > 0, count <= portsPerAddress else { return nil }
        if let preferred, preferred < count,
            words[bits(set) &+ preferred >> 6].isClear(preferred)
        {
            return preferred
        }
        // Where the last one was found there are mostly more.
        let start = min(Int(truncatingIfNeeded: words[set]), count &- 1)
        if words[bits(set) &+ start >> 6].isClear(start) { return start }
        return firstFree(from: start, in: set, of: count)
    }

    /// Gives a port back that was taken.
    func free(_ key: Key, _ port: Int) {
        guard let set = firstWord(of: key), port < portsPerAddress else { return }
        let word = port >> 6
        guard !words[bits(set) + word].isClear(port) else { return }
        words[bits(set) + word] &= ~(1 << UInt64(port & 63))
        words[summary(set) + word >> 6] &= ~(1 << UInt64(word & 63))
        words[set + 1] &-= 1
    }

    // A set: where to go on, how many are in use, summary words, bit words.

    @inline(__always)
    private func firstWord(of key: Key) -> Int? {
        guard Int(key.portSpace) < capacity.portSpaces, Int(key.address) < capacity.addresses else {
            return nil
        }
        let pair = Int(key.portSpace) &* capacity.addresses &+ Int(key.address)
        return (pair &* 2 &+ (key.isUDP ? 1 : 0)) &* wordsPerSet
    }

    @inline(__always)
    private func summary(_ set: Int) -> Int { set &+ 2 }
    @inline(__always)
    private func bits(_ set: Int) -> Int { set &+ 2 &+ summaryWords }

    @inline(__always)
    private func mark(_ port: Int, in set: Int, of count: Int) {
        let word = port >> 6
        words[bits(set) &+ word] |= 1 &<< UInt64(port & 63)
        words[set &+ 1] &+= 1
        if freeBits(ofWord: word, in: set, of: count) == 0 {
            words[summary(set) &+ word >> 6] |= 1 &<< UInt64(word & 63)
        }
    }

    /// The free ports of a word, those beyond the last one left out.
    @inline(__always)
    private func freeBits(ofWord word: Int, in set: Int, of count: Int) -> UInt64 {
        let left = count &- word &* 64
        let mask = left >= 64 ? UInt64.max : (1 &<< UInt64(left)) &- 1
        return ~words[bits(set) &+ word] & mask
    }

    /// The first free port from `start` on, then from the beginning.
    private func firstFree(from start: Int, in set: Int, of count: Int) -> Int? {
        let word = start >> 6
        let rest = freeBits(ofWord: word, in: set, of: count) & UInt64.max << UInt64(start & 63)
        if rest != 0 { return word * 64 + rest.trailingZeroBitCount }
        let wordCount = (count + 63) / 64
        let next =
            firstWordWithRoom(in: word + 1..<wordCount, of: set)
            ?? firstWordWithRoom(in: 0..<word + 1, of: set)
        guard let next else { return nil }
        let free = freeBits(ofWord: next, in: set, of: count)
        return free == 0 ? nil : next * 64 + free.trailingZeroBitCount
    }

    private func firstWordWithRoom(in range: Range<Int>, of set: Int) -> Int? {
        var word = range.lowerBound
        while word < range.upperBound {
            let room = ~words[summary(set) + word >> 6] & UInt64.max << UInt64(word & 63)
            if room != 0 {
                let found = word & ~63 + room.trailingZeroBitCount
                return found < range.upperBound ? found : nil
            }
            word = word & ~63 + 64
        }
        return nil
    }
}

extension UInt64 {
    fileprivate func isClear(_ index: Int) -> Bool { self & 1 &<< UInt64(index & 63) == 0 }
}
