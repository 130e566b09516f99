// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import XSKRing

/// Rules of two plans in one, while the workers change from the one to the other.
@Suite struct SteeringRulesTests {
    private static func prefix(_ bytes: [UInt8], _ length: Int) -> SteeringRules.Prefix {
        .init(address: [UInt8](repeating: 0, count: 10) + [255, 255] + bytes, length: 96 + length)
    }

    private static let network = prefix([40, 1, 0, 0], 16)
    private static let host = prefix([40, 1, 1, 1], 32)
    private static let web = SteeringRules.Ports(80...80, transport: 6)
    private static let shell = SteeringRules.Ports(22...22, transport: 6)
    private static let names = SteeringRules.Ports(53...53, transport: 17)

    private static func rules(
        _ vips: [SteeringRules.Prefix: Set<SteeringRules.Ports>]
    ) -> SteeringRules {
        var rules = SteeringRules()
        rules.vips = vips
        return rules
    }

    @Test func `a VIP that appears in a prefix has what the prefix offered until then`() {
        let old = Self.rules([Self.network: [Self.web]])
        let new = Self.rules([Self.network: [Self.names], Self.host: [Self.names, Self.shell]])
        let both: [SteeringRules.Prefix: Set<SteeringRules.Ports>] = [
            Self.network: [Self.web, Self.names],
            Self.host: [Self.web, Self.names, Self.shell],
        ]
        #expect(old.merging(new).vips == both)
        #expect(new.merging(old).vips == both)
    }

    @Test func `prefixes that do not touch keep what they have`() {
        let other = Self.prefix([40, 2, 0, 0], 16)
        let merged = Self.rules([Self.host: [Self.web]])
            .merging(Self.rules([other: [Self.shell]]))
        #expect(merged.vips == [Self.host: [Self.web], other: [Self.shell]])
    }

    @Test func `a prefix is cut at any bit`() {
        let prefix = SteeringRules.Prefix(address: [UInt8](repeating: 0xff, count: 16), length: 128)
        for length in 0...128 {
            let bits = prefix.shortened(to: length).address.map(\.nonzeroBitCount)
            #expect(bits.reduce(0, +) == length)
            #expect(bits == bits.sorted(by: >))
        }
    }

    @Test(
        arguments: [
            ([1024...2000], [1024...2000], [1024...2000]),
            ([1024...2000], [2001...3000], [1024...3000]),
            ([1024...2000, 5000...6000], [1500...5500], [1024...6000]),
            ([1...2, 5...6], [8...9, 65535...65535], [1...2, 5...6, 8...9, 65535...65535]),
            ([1...65535], [7...7], [1...65535]),
        ] as [([ClosedRange<UInt16>], [ClosedRange<UInt16>], [ClosedRange<UInt16>])])
    func `a SNAT address has the ports of both`(
        _ left: [ClosedRange<UInt16>], _ right: [ClosedRange<UInt16>],
        _ both: [ClosedRange<UInt16>]
    ) {
        let address = [UInt8](repeating: 1, count: 16)
        var (old, new) = (SteeringRules(), SteeringRules())
        old.pool[address] = left
        new.pool[address] = right
        #expect(old.merging(new).pool == [address: both])
        #expect(new.merging(old).pool == [address: both])
    }

    @Test func `the link is that of the second, and echo is ours while one of them answers`() {
        var (old, new) = (SteeringRules(), SteeringRules())
        (old.mac, old.vlan, old.answersEcho) = ([2, 0, 0, 0, 0, 1], 7, true)
        new.mac = [2, 0, 0, 0, 0, 2]
        let merged = old.merging(new)
        #expect(merged.mac == new.mac && merged.vlan == nil && merged.answersEcho)
        #expect(!new.merging(new).answersEcho)
    }

    @Test func `rules merged with rules that have them all are those`() {
        let wide = Self.rules([Self.network: [Self.web], Self.host: [Self.web, Self.shell]])
        let narrow = Self.rules([Self.host: [Self.shell]])
        #expect(wide.merging(narrow) == wide)
    }
}
