// SPDX-License-Identifier: Apache-2.0
import TestSupport
import Testing

@testable import Netlink

/// What the kernel says over rtnetlink about a real veth pair, and does when asked.
@Suite struct KernelNetlinkTests {
    /// Waits for an event, a bounded time.
    private static func event(
        on socket: inout NetlinkSocket, where isWanted: (NetlinkEvent) -> Bool
    ) throws -> Bool {
        for _ in 0..<100 {
            if try socket.receiveEvents(timeoutMilliseconds: 50).contains(where: isWanted) {
                return true
            }
        }
        return false
    }

    private static func link(_ requests: inout NetlinkSocket) throws -> LinkMessage {
        try #require(try requests.links().first { $0.name == VethPair.nearName })
    }

    @Test func `a link has its name, number, hardware address, MTU and state`() async throws {
        try await VethPair.with { pair in
            try await pair.near.perform {
                var requests = try NetlinkSocket(for: .requests)
                let link = try Self.link(&requests)
                #expect(link.mac == VethPair.nearMAC && link.mtu == 1500)
                #expect(link.isUp && link.hasCarrier)
                var events = try NetlinkSocket(for: .events)
                try pair.near.run("ip", "link", "set", VethPair.nearName, "down")
                let went = try Self.event(on: &events) {
                    if case .link(let link) = $0 {
                        link.name == VethPair.nearName && !link.isUp
                    } else {
                        false
                    }
                }
                #expect(went)
            }
        }
    }

    @Test func `addresses are listed, and come and go as events`() async throws {
        try await VethPair.with { pair in
            try await pair.near.perform {
                var requests = try NetlinkSocket(for: .requests)
                let index = try Self.link(&requests).index
                let own = try requests.addresses().filter { $0.interface == index }
                #expect(own.map(\.address) == [[20, 1, 1, 1]])
                #expect(own.map(\.prefixLength) == [24])
                var events = try NetlinkSocket(for: .events)
                try pair.near.run("ip", "address", "add", "10.5.5.5/32", "dev", VethPair.nearName)
                let came = try Self.event(on: &events) {
                    if case .address(let new) = $0 { new.address == [10, 5, 5, 5] } else { false }
                }
                try pair.near.run("ip", "address", "del", "10.5.5.5/32", "dev", VethPair.nearName)
                let went = try Self.event(on: &events) {
                    if case .addressGone(let old) = $0 {
                        old.address == [10, 5, 5, 5]
                    } else {
                        false
                    }
                }
                #expect(came && went)
            }
        }
    }

    @Test func `routes have their gateways, also several, and come as events`() async throws {
        try await VethPair.with { pair in
            try await pair.near.perform {
                var requests = try NetlinkSocket(for: .requests)
                let index = try Self.link(&requests).index
                var events = try NetlinkSocket(for: .events)
                try pair.near.run(
                    "ip", "route", "add", "10.1.0.0/16", "via", "20.1.1.254", "metric", "7")
                let came = try Self.event(on: &events) {
                    if case .route(let new) = $0 {
                        new.destination == [10, 1, 0, 0]
                    } else {
                        false
                    }
                }
                #expect(came)
                try pair.near.run(
                    "ip", "route", "add", "10.2.0.0/16", "nexthop", "via", "20.1.1.253", "nexthop",
                    "via", "20.1.1.252")
                let routes = try requests.routes().filter { $0.table == RouteMessage.mainTable }
                let single = try #require(routes.first { $0.destination == [10, 1, 0, 0] })
                #expect(single.prefixLength == 16 && single.priority == 7 && single.isUnicast)
                #expect(single.hops == [.init(interface: index, gateway: [20, 1, 1, 254])])
                let multiple = try #require(routes.first { $0.destination == [10, 2, 0, 0] })
                #expect(multiple.hops.map(\.gateway) == [[20, 1, 1, 253], [20, 1, 1, 252]])
                let onLink = try #require(routes.first { $0.destination == [20, 1, 1, 0] })
                #expect(onLink.hops == [.init(interface: index, gateway: nil)])
            }
        }
    }

    @Test func `the kernel resolves an address it is asked for, and says so`() async throws {
        try await VethPair.with { pair in
            try await pair.near.perform {
                var requests = try NetlinkSocket(for: .requests)
                let index = try Self.link(&requests).index
                var events = try NetlinkSocket(for: .events)
                try requests.resolve([20, 1, 1, 100], interface: index)
                let answered = try Self.event(on: &events) {
                    guard case .neighbour(let neighbour) = $0 else { return false }
                    return neighbour.address == [20, 1, 1, 100]
                        && neighbour.mac == VethPair.farMAC
                        && !neighbour.state.isDisjoint(with: .valid)
                }
                #expect(answered)
                let known = try requests.neighbours().first { $0.address == [20, 1, 1, 100] }
                #expect(known?.mac == VethPair.farMAC)
            }
        }
    }

    @Test func `an address that nobody has becomes a failed neighbour`() async throws {
        try await VethPair.with { pair in
            try await pair.near.perform {
                var requests = try NetlinkSocket(for: .requests)
                let index = try Self.link(&requests).index
                var events = try NetlinkSocket(for: .events)
                try requests.resolve([20, 1, 1, 77], interface: index)
                let failed = try Self.event(on: &events) {
                    guard case .neighbour(let neighbour) = $0 else { return false }
                    return neighbour.address == [20, 1, 1, 77] && neighbour.state.contains(.failed)
                }
                #expect(failed)
            }
        }
    }

    @Test func `a refusal has the kernel's answer`() async throws {
        try await VethPair.with { pair in
            try await pair.near.perform {
                var requests = try NetlinkSocket(for: .requests)
                do throws(NetlinkError) {
                    try requests.resolve([20, 1, 1, 77], interface: 99_999)
                    Issue.record("a device that does not exist was accepted")
                } catch {
                    #expect(error.kind == .refused(19))
                    #expect(error.description.contains("no such device"))
                }
            }
        }
    }
}
