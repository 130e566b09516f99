// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Netlink

@Suite struct MessageReaderTests {
    /// 10.0.0.2 at 02:00:00:00:00:02 on device 7, reachable, as the kernel says it.
    private static let neighbour: [UInt8] = [
        44, 0, 0, 0, 28, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0,
        2, 0, 0, 0, 7, 0, 0, 0, 2, 0, 0, 0,
        8, 0, 1, 0, 10, 0, 0, 2,
        10, 0, 2, 0, 2, 0, 0, 0, 0, 2, 0, 0,
    ]

    @Test func `a neighbour is read with its device, address and hardware address`() throws {
        var datagram = Self.neighbour
        datagram[0] = UInt8(datagram.count)
        let message = try #require(MessageReader(datagram[...]).first { _ in true })
        let neighbour = try #require(NeighbourMessage(message.payload))
        #expect(neighbour.interface == 7)
        #expect(neighbour.address == [10, 0, 0, 2])
        #expect(neighbour.mac == [2, 0, 0, 0, 0, 2])
        #expect(neighbour.state == .reachable)
    }

    @Test func `a message cut at any length is read in part or not at all, and never traps`() {
        for length in 0..<Self.neighbour.count {
            for message in MessageReader(Self.neighbour[..<length]) {
                _ = NeighbourMessage(message.payload)
            }
        }
    }

    @Test func `random bytes never trap a reader`() {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<10_000 {
            let count = Int.random(in: 0...120, using: &generator)
            var bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
            if count >= 4, Bool.random(using: &generator) {
                bytes[0] = UInt8(count)
                bytes[1] = 0
                bytes[2] = 0
                bytes[3] = 0
            }
            for message in MessageReader(bytes[...]) {
                _ = LinkMessage(message.payload)
                _ = AddressMessage(message.payload)
                _ = RouteMessage(message.payload)
                _ = NeighbourMessage(message.payload)
            }
        }
    }

    @Test func `an attribute that claims more than there is ends the walk`() {
        let bytes: [UInt8] = [5, 0, 1, 0, 9, 0, 0, 0, 200, 0, 2, 0, 1]
        let attributes = Attribute.all(in: bytes[...])
        #expect(attributes.map(\.type) == [1])
        #expect(attributes.first.map { Array($0.value) } == [9])
    }

    @Test func `an attribute shorter than its own header ends the walk`() {
        #expect(Attribute.all(in: [3, 0, 1, 0, 0, 0, 0, 0][...]).isEmpty)
        #expect(Attribute.all(in: [0, 0, 0, 0][...]).isEmpty)
    }

    @Test func `a multipath route has all its ways`() throws {
        var fixed: [UInt8] = [2, 24, 0, 0, 254, 0, 0, 1, 0, 0, 0, 0]
        fixed += [8, 0, 1, 0, 10, 1, 2, 0]
        let first: [UInt8] = [16, 0, 0, 0, 3, 0, 0, 0, 8, 0, 5, 0, 10, 0, 0, 1]
        let second: [UInt8] = [16, 0, 0, 0, 4, 0, 0, 0, 8, 0, 5, 0, 10, 0, 0, 2]
        fixed += [36, 0, 9, 0] + first + second
        let route = try #require(RouteMessage(fixed[...]))
        #expect(route.prefixLength == 24)
        #expect(route.destination == [10, 1, 2, 0])
        #expect(route.table == RouteMessage.mainTable)
        #expect(route.hops.map(\.interface) == [3, 4])
        #expect(route.hops.map(\.gateway) == [[10, 0, 0, 1], [10, 0, 0, 2]])
    }

    @Test func `a route for some sources or services, or an exception, is not general`() throws {
        let plain: [UInt8] = [10, 0, 0, 0, 254, 0, 0, 1, 0, 0, 0, 0]
        #expect(try #require(RouteMessage(plain[...])).isGeneral)
        // Source length, type of service, RTM_F_CLONED.
        for (offset, value) in [(2, UInt8(64)), (3, 0x10), (9, 0x02)] {
            var other = plain
            other[offset] = value
            #expect(!(try #require(RouteMessage(other[...])).isGeneral))
        }
    }

    @Test func `an IPv6 default route has a link-local gateway`() throws {
        let gateway: [UInt8] = [0xfe, 0x80] + [UInt8](repeating: 0, count: 13) + [1]
        let bytes =
            [10, 0, 0, 0, 254, 0, 0, 1, 0, 0, 0, 0]
            + [8, 0, 4, 0, 7, 0, 0, 0] + [20, 0, 5, 0] + gateway
        let route = try #require(RouteMessage(bytes[...]))
        #expect(route.version == 6 && route.prefixLength == 0)
        #expect(route.destination == [UInt8](repeating: 0, count: 16))
        #expect(route.hops == [.init(interface: 7, gateway: gateway)])
    }

    @Test func `an address says whether it may be used`() throws {
        func address(_ flags: UInt8) throws -> AddressMessage {
            let bytes = [10, 64, flags, 0, 7, 0, 0, 0] + [20, 0, 1, 0]
            return try #require(
                AddressMessage((bytes + [UInt8](repeating: 1, count: 16))[...]))
        }
        #expect(try address(0x80).isUsable)
        #expect(try !address(0x40).isUsable, "tentative")
        #expect(try address(0x44).isUsable, "optimistic")
        #expect(try !address(0x08).isUsable, "duplicate")
        #expect(try address(0x20).isDeprecated && address(0x20).isUsable)
        #expect(try address(0x01).isSecondary)
    }

    @Test func `a VLAN device has its number and the device below`() throws {
        let kind: [UInt8] = [9, 0, 1, 0] + Array("vlan".utf8) + [0, 0, 0, 0]
        func link(_ type: [UInt8]) throws -> LinkMessage {
            let data: [UInt8] = [6, 0, 1, 0, 100, 0, 0, 0] + [6, 0, 5, 0] + type + [0, 0]
            let info = kind + [UInt8(4 + data.count), 0, 2, 0] + data
            let bytes =
                [UInt8](repeating: 0, count: 16) + [8, 0, 5, 0, 3, 0, 0, 0]
                + [UInt8(4 + info.count), 0, 18, 0] + info
            return try #require(LinkMessage(bytes[...]))
        }
        let tagged = try link([0x81, 0x00])
        #expect(tagged.parent == 3 && tagged.vlan == 100)
        #expect(try link([0x88, 0xa8]).vlan == nil, "802.1ad")
    }

    @Test func `a request is as long as it says, and padded to four bytes`() {
        let bytes = NeighbourMessage.resolve([10, 0, 0, 2], interface: 7, 5).bytes
        #expect(bytes.count % 4 == 0)
        #expect(Int(bytes[0]) == bytes.count)
    }
}
