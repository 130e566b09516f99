// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import xdplb

/// What the command reads of the blocks that it writes.
@Suite struct PcapngBlocksTests {
    /// A block of a type around a body.
    private static func block(_ type: UInt32, _ body: [UInt8]) -> [UInt8] {
        let length = bytes(UInt32(body.count + 12))
        return bytes(type) + length + body + length
    }

    private static func bytes(_ number: UInt32) -> [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) }
    }

    @Test func `only blocks that are there to their end are whole`() {
        let both = Self.block(9, [1, 2, 3, 4]) + Self.block(9, [])
        for count in 0...both.count {
            let blocks = PcapngBlocks.whole(in: Array(both.prefix(count)))
            #expect(blocks.count == (count < 16 ? 0 : count < both.count ? 1 : 2), "\(count)")
        }
    }

    @Test(arguments: [5, 6] as [UInt32])
    func `lengths that contradict the block are not followed`(type: UInt32) {
        for count in stride(from: 0, through: 64, by: 4) {
            for fill in [0, 1, 5, 8, 0x7f, 0xff] as [UInt8] {
                let body = [UInt8](repeating: fill, count: count)
                let blocks = PcapngBlocks.whole(in: Self.block(type, body))
                #expect(blocks.count == 1)
            }
        }
    }

    @Test func `number and losses are options of eight bytes`() {
        let option = Self.bytes(5 | 8 << 16) + Self.bytes(7) + Self.bytes(0)
        let packet = Self.block(6, [UInt8](repeating: 0, count: 20) + option)
        let statistics = Self.block(5, [UInt8](repeating: 0, count: 12) + option)
        let kinds = PcapngBlocks.whole(in: packet + statistics).map(\.kind)
        guard case .packet(7) = kinds[0], case .statistics(lost: 7) = kinds[1] else {
            Issue.record("\(kinds)")
            return
        }
    }
}
