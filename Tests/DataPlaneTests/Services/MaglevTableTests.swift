// SPDX-License-Identifier: Apache-2.0
import TestSupport
import Testing

@testable import DataPlane

/// The paper's algorithm (NSDI 2016 §3.4, pseudocode 1) written once more, slowly and apart from
/// the code under test: permutations as whole arrays, turns from a list of due times.
private enum SlowMaglev {
    static func table(_ members: [MaglevTable.Member], size: Int, key: HashKey) -> [UInt16] {
        let ordered = members.filter { $0.weight > 0 }.sorted {
            ($0.endpoint.address, $0.endpoint.port ?? 0) < (
                $1.endpoint.address, $1.endpoint.port ?? 0
            )
        }
        let permutations = ordered.map { member -> [Int] in
            let port = member.endpoint.port ?? 0
            let name = member.endpoint.address.mappedBytes + [UInt8(port >> 8), UInt8(port & 255)]
            let offset = Int(SipHash.hash(Array("offset".utf8) + name, key: key) % UInt64(size))
            let skip = Int(SipHash.hash(Array("skip".utf8) + name, key: key) % UInt64(size - 1)) + 1
            return (0..<size).map { (offset + $0 * skip) % size }
        }
        var entry = [UInt16?](repeating: nil, count: size)
        var next = [Int](repeating: 0, count: ordered.count)
        var turns = [Int](repeating: 0, count: ordered.count)
        let heaviest = Int(ordered.map(\.weight).max() ?? 1)
        var round = 0
        while entry.contains(nil) {
            round += 1
            for (index, member) in ordered.enumerated() {
                // Turns due so far: the share of rounds that the weight is of the heaviest.
                guard turns[index] < round * Int(member.weight) / heaviest else { continue }
                turns[index] += 1
                while entry[permutations[index][next[index]]] != nil { next[index] += 1 }
                entry[permutations[index][next[index]]] = member.backend
                if !entry.contains(nil) { break }
            }
        }
        return entry.map { $0 ?? MaglevTable.nobody }
    }
}

@Suite struct MaglevTableTests {
    private static func members(_ weights: [UInt16]) -> [MaglevTable.Member] {
        weights.enumerated().map { index, weight in
            let address = IPAddress(IPv4Address(0x0a01_0001 + UInt32(index) * 7))
            return .init(
                endpoint: Endpoint(address: address, port: nil), weight: weight,
                backend: UInt16(index))
        }
    }

    private static func table(_ members: [MaglevTable.Member], size: Int = 65537) -> MaglevTable {
        MaglevTable(members: members, size: size, key: PlanFixture.key)
    }

    @Test(
        arguments: [[1], [1, 1], [1, 2, 5], [100, 50, 0, 25], [7, 7, 7, 7, 7], [1, 50]]
            as [[UInt16]])
    func `the table is the one an independent slow reference builds`(_ weights: [UInt16]) {
        for size in [251, 2039] {
            let members = Self.members(weights)
            let table = Self.table(members, size: size)
            let expected = SlowMaglev.table(members, size: size, key: PlanFixture.key)
            #expect((0..<size).map { table[$0] } == expected)
        }
    }

    @Test func `permuting the backends changes no slot`() {
        let members = Self.members([100, 200, 50, 100, 3])
        let table = Self.table(members)
        #expect(table.movedSlots(to: Self.table(members.reversed())) == 0)
        #expect(table.movedSlots(to: Self.table(members.shuffled())) == 0)
    }

    @Test(
        arguments: [[1, 2, 5], [1, 1000], [1000, 2000, 5000], [65535, 1], [3, 3, 3]] as [[UInt16]])
    func `each share differs from its weight by at most one percent and a slot`(_ weights: [UInt16])
    {
        let counts = Self.table(Self.members(weights)).slotCounts
        let total = weights.reduce(0) { $0 + Int($1) }
        for (index, weight) in weights.enumerated() {
            let exact = Double(65537) * Double(weight) / Double(total)
            let seen = Double(counts[UInt16(index)] ?? 0)
            #expect(abs(seen - exact) <= exact * 0.01 + 1, "\(weights): \(seen) of \(exact)")
        }
    }

    @Test(arguments: MaglevTable.allowedSizes)
    func `every slot of every allowed size has a backend`(_ size: Int) {
        let counts = Self.table(Self.members([1, 1, 1]), size: size).slotCounts
        #expect(counts.values.reduce(0, +) == size)
        #expect(counts.count == 3)
    }

    @Test func `a weight of zero gets no slot, and nobody gets all without backends`() {
        #expect(Self.table(Self.members([0, 5])).slotCounts[0] == nil)
        let empty = Self.table([])
        #expect(empty.slotCounts.isEmpty && empty[0] == MaglevTable.nobody)
    }

    /// §5.3 of the paper: with 65537 slots and a few backends gone, under 2 % of the flows of
    /// those that stay move.
    @Test func `when one backend of many leaves, hardly any slot of the others moves`() {
        for count in [10, 100] {
            let members = Self.members([UInt16](repeating: 1, count: count))
            let before = Self.table(members)
            let after = Self.table(Array(members.dropFirst()))
            let own = before.slotCounts[0] ?? 0
            let others = before.movedSlots(to: after) - own
            #expect(Double(others) / 65537 < 0.02, "\(others) of \(count)")
        }
    }

    @Test func `two instances with one key choose alike for 100 000 flows, another key does not`()
        throws
    {
        let members = Self.members([1, 1, 1, 1])
        let here = Self.table(members)
        let there = Self.table(members.shuffled())
        let hash = FlowHash(key: PlanFixture.key)
        var counts = [0, 0, 0, 0]
        for index in 0..<100_000 as Range<UInt32> {
            let flow = FiveTuple(
                source: IPAddress(IPv4Address(0xc0a8_0000 &+ index >> 4)),
                sourcePort: UInt16(truncatingIfNeeded: index &* 13),
                destination: PlanFixture.address("40.1.1.1"), destinationPort: 80, transport: .tcp)
            let word = hash.hash(flow).slotWord
            #expect(here.slots.backend(for: word) == there.slots.backend(for: word))
            counts[Int(here.slots.backend(for: word))] += 1
        }
        // Five standard deviations of a fair draw.
        #expect(counts.allSatisfy { abs($0 - 25_000) < 690 }, "\(counts)")
        let key = try #require(HashKey(bytes: [UInt8](repeating: 3, count: 16)))
        #expect(here.movedSlots(to: MaglevTable(members: members, size: 65537, key: key)) > 30_000)
    }

    @Test func `the fingerprint tells tables apart and not processes`() {
        let members = Self.members([1, 1, 1])
        // Numbers are local to a process: here they are shifted.
        let renumbered = members.map {
            MaglevTable.Member(
                endpoint: $0.endpoint, weight: $0.weight, backend: $0.backend + 40)
        }
        func print(_ members: [MaglevTable.Member]) -> String { Self.table(members).fingerprint }
        #expect(print(members) == print(renumbered))
        #expect(print(members) != print(Self.members([1, 1, 2])))
        #expect(print(members).utf8.count == 12)
    }
}

@Suite struct SipHashTests {
    /// The first values of the reference implementation's test vectors: messages 00, 00 01, … under
    /// the key 00 01 … 0f.
    @Test func `hashes are those of the reference implementation`() throws {
        let key = try #require(HashKey(bytes: (0..<16).map { UInt8($0) }))
        let expected: [UInt64] = [
            0x726f_db47_dd0e_0e31, 0x74f8_39c5_93dc_67fd, 0x0d6c_8009_d9a9_4f5a,
            0x8567_6696_d7fb_7e2d,
        ]
        for (length, value) in expected.enumerated() {
            #expect(SipHash.hash((0..<length).map { UInt8($0) }, key: key) == value)
        }
        #expect(SipHash.hash((0..<15).map { UInt8($0) }, key: key) == 0xa129_ca61_49be_45e5)
    }
}
