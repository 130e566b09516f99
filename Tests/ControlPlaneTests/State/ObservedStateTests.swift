// SPDX-License-Identifier: Apache-2.0
import DataPlane
import TestSupport
import Testing

@testable import ControlPlane
@testable import Netlink

/// Which device of the kernel's tables an interface is.
///
/// `KernelObservationTests` has the rest.
@Suite struct ObservedStateTests {
    /// A message without its header: a fixed part, then attributes.
    private static func payload(
        _ fixed: [UInt8], _ attributes: [(type: UInt16, value: [UInt8])]
    ) -> ArraySlice<UInt8> {
        var message = MessageWriter(type: 0, flags: 0, sequence: 0, fixed: fixed)
        for attribute in attributes { message.add(attribute.type, attribute.value) }
        return message.bytes[NetlinkHeader.byteCount...]
    }

    private static func number(_ value: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        MessageWriter.append(UInt32(value), to: &bytes)
        return bytes
    }

    /// A device that is up and has a carrier; with a parent, the VLAN 100 of it.
    private static func link(
        _ index: Int, _ name: String, mtu: Int, parent: Int? = nil, isUp: Bool = true
    ) throws -> LinkMessage {
        var attributes: [(type: UInt16, value: [UInt8])] = [
            (1, [2, 0, 0, 0, 0, UInt8(index)]), (3, Array(name.utf8) + [0]), (4, number(mtu)),
        ]
        if let parent {
            let data = payload([], [(1, [100, 0])])
            attributes.append((5, number(parent)))
            let info = payload([], [(1, Array("vlan".utf8)), (2, Array(data))])
            attributes.append((18, Array(info)))
        }
        let fixed =
            [0, 0, 0, 0] + number(index) + number(isUp ? 0x10001 : 0) + number(0)
        return try #require(LinkMessage(payload(fixed, attributes)))
    }

    private static func address(_ text: String, on index: Int) throws -> AddressMessage {
        let bytes = PlanFixture.address(text).bytes
        let fixed = [bytes.count == 4 ? 2 : 10, 24, 0x80, 0] + number(index)
        return try #require(AddressMessage(payload(fixed, [(1, bytes)])))
    }

    private static func route(_ gateway: String, by index: Int) throws -> RouteMessage {
        let bytes = PlanFixture.address(gateway).bytes
        let fixed = [bytes.count == 4 ? 2 : 10, 0, 0, 0, 254, 0, 0, 1, 0, 0, 0, 0] as [UInt8]
        return try #require(RouteMessage(payload(fixed, [(4, number(index)), (5, bytes)])))
    }

    private static func neighbour(_ text: String, on index: Int) throws -> NeighbourMessage {
        let bytes = PlanFixture.address(text).bytes
        let fixed = [bytes.count == 4 ? 2 : 10, 0, 0, 0] + number(index) + [2, 0, 0, 0]
        return try #require(
            NeighbourMessage(payload(fixed, [(1, bytes), (2, [2, 0, 0, 0, 0, 0x64])])))
    }

    /// eth0, its VLAN 100 and another device, with an address, a gateway and a neighbour each.
    private static func tables(isParentUp: Bool = true) throws -> KernelTables {
        KernelTables(
            links: [
                try link(2, "eth0", mtu: 9000, isUp: isParentUp),
                try link(3, "eth0.100", mtu: 1500, parent: 2), try link(4, "eth1", mtu: 1500),
            ],
            addresses: [
                try address("10.2.0.1", on: 2), try address("2001:db8:3::1", on: 3),
                try address("10.3.0.1", on: 3), try address("10.4.0.1", on: 4),
            ],
            routes: [
                try route("10.2.0.254", by: 2), try route("10.3.0.254", by: 3),
                try route("fe80::3", by: 3), try route("fe80::4", by: 4),
            ],
            neighbours: [
                try neighbour("10.2.0.254", on: 2), try neighbour("fe80::3", on: 3),
                try neighbour("fe80::4", on: 4),
            ])
    }

    @Test func `an interface without a VLAN has what is on its own device`() throws {
        let state = try ObservedState(
            of: ObservedInterface(name: "eth0", vlan: nil), in: try Self.tables(), before: nil)
        #expect(state.mtu == 9000 && state.mac.description == "02:00:00:00:00:02")
        #expect(state.addresses.map(\.description) == ["10.2.0.1"])
        #expect(state.nextHop(towards: PlanFixture.address("9.9.9.9"))?.description == "10.2.0.254")
        #expect(state.neighbours.keys.map(\.description) == ["10.2.0.254"])
        #expect(state.hostAddresses.count == 4)
    }

    @Test func `one with a VLAN has what is on the VLAN's device`() throws {
        let state = try ObservedState(
            of: ObservedInterface(name: "eth0", vlan: 100), in: try Self.tables(), before: nil)
        #expect(state.mtu == 1500 && state.mac.description == "02:00:00:00:00:03")
        #expect(state.ipv4?.description == "10.3.0.1")
        #expect(state.ipv6?.description == "2001:db8:3::1")
        #expect(state.nextHop(towards: PlanFixture.address("9.9.9.9"))?.description == "10.3.0.254")
        #expect(state.nextHop(towards: PlanFixture.address("2001::9"))?.description == "fe80::3")
        #expect(state.neighbours.keys.map(\.description) == ["fe80::3"])
    }

    @Test func `a VLAN is up only while the device below is`() throws {
        let interface = ObservedInterface(name: "eth0", vlan: 100)
        for isUp in [true, false] {
            let tables = try Self.tables(isParentUp: isUp)
            #expect(try ObservedState(of: interface, in: tables, before: nil).isUp == isUp)
        }
    }

    @Test func `a VLAN without a device is told with the command that makes one`() throws {
        let tables = try Self.tables()
        #expect {
            _ = try ObservedState(
                of: ObservedInterface(name: "eth1", vlan: 100), in: tables, before: nil)
        } throws: { error in
            "\(error)".contains("ip link add link eth1 name eth1.100 type vlan id 100")
        }
    }
}
