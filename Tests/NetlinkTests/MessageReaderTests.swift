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

    @Test func `a request is as long as it says, and padded to four bytes`() {
        let bytes = NeighbourMessage.resolve([10, 0, 0, 2], interface: 7, 5).bytes
        #expect(bytes.count % 4 == 0)
        #expect(Int(bytes[0]) == bytes.count)
    }
}
