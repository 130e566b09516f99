// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import DataPlane

@Suite struct FlowHashTests {
    private static func key(_ seed: UInt8) -> HashKey? {
        HashKey(bytes: (0..<16).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ Int(seed) &* 101) })
    }

    private static func flow(_ port: UInt16) -> FiveTuple {
        FiveTuple(
            source: IPAddress(IPv4Address(20, 1, 1, 100)), sourcePort: port,
            destination: IPAddress(IPv4Address(40, 1, 1, 1)), destinationPort: 80, transport: .tcp)
    }

    @Test(arguments: [1, 2, 3] as [UInt16])
    func `a single client's ports spread evenly, whatever the key and their step`(
        _ step: UInt16
    ) throws {
        for seed in 0..<64 as Range<UInt8> {
            let hash = FlowHash(key: try #require(Self.key(seed)))
            var counts = [Int](repeating: 0, count: 4)
            for index in 0..<1000 as Range<UInt16> {
                let word = hash.hash(Self.flow(32768 &+ index &* step)).slotWord
                counts[Int(word >> 30)] += 1
            }
            // Six standard deviations of a fair draw of 1000 with a chance of a quarter: 82.
            #expect(counts.allSatisfy { (168...332).contains($0) }, "\(seed): \(counts)")
        }
    }

    @Test func `two keys give a flow different hashes, one key the same`() throws {
        let first = FlowHash(key: try #require(Self.key(1)))
        let second = FlowHash(key: try #require(Self.key(2)))
        let same = FlowHash(key: try #require(Self.key(1)))
        var equal = 0
        for port in 1...1000 as ClosedRange<UInt16> {
            let flow = Self.flow(port)
            #expect(first.hash(flow) == same.hash(flow))
            equal += first.hash(flow) == second.hash(flow) ? 1 : 0
        }
        #expect(equal == 0)
    }

    @Test func `every bit of a hash is set for about half of all flows`() throws {
        let hash = FlowHash(key: try #require(Self.key(9)))
        var ones = [Int](repeating: 0, count: 64)
        for port in 1...10_000 as ClosedRange<UInt16> {
            let value = hash.hash(Self.flow(port))
            for bit in 0..<64 where value >> UInt64(bit) & 1 == 1 { ones[bit] += 1 }
        }
        #expect(ones.allSatisfy { (4700...5300).contains($0) }, "\(ones)")
    }
}
