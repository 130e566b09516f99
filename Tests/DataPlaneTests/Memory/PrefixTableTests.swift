// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import DataPlane

/// Which prefix of a table holds an address.
@Suite struct PrefixTableTests {
    private static func table(_ prefixes: [String]) throws -> PrefixTable {
        PrefixTable(
            try prefixes.enumerated().map { index, text in
                .init(prefix: try #require(IPPrefix(text)), value: UInt32(index))
            })
    }

    @Test(
        arguments: [
            ("10.1.2.3", 2), ("10.1.9.9", 1), ("10.9.9.9", 0), ("192.0.2.1", nil),
            ("2001:db8::1", 4), ("2001:db8:1::1", 3), ("2001:db9::1", nil),
        ] as [(String, UInt32?)])
    func `the longest prefix that holds an address counts`(text: String, found: UInt32?) throws {
        let table = try Self.table([
            "10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "2001:db8::/32", "2001:db8::/48",
        ])
        #expect(table.find(try #require(IPAddress(text))) == found)
    }

    @Test(arguments: ["::/0", "::/64", "::/80", "::/95"])
    func `a prefix of IPv6 holds no IPv4 address`(prefix: String) throws {
        let table = try Self.table([prefix])
        #expect(table.find(try #require(IPAddress("192.0.2.1"))) == nil)
        #expect(table.find(try #require(IPAddress("::2"))) == 0)
    }

    @Test func `the default routes of both families stay apart`() throws {
        let table = try Self.table(["::/0", "0.0.0.0/0"])
        #expect(table.find(try #require(IPAddress("192.0.2.1"))) == 1)
        #expect(table.find(try #require(IPAddress("2001:db8::1"))) == 0)
    }

    @Test func `scopes are tables of their own`() throws {
        let all = try #require(IPPrefix("0.0.0.0/0"))
        let one = try #require(IPPrefix("192.0.2.1/32"))
        let table = PrefixTable([
            .init(prefix: all, scope: 1, value: 11), .init(prefix: one, scope: 2, value: 22),
        ])
        let address = try #require(IPAddress("192.0.2.1"))
        #expect(table.find(address, scope: 1) == 11)
        #expect(table.find(address, scope: 2) == 22)
        #expect(table.find(address) == nil)
    }
}
