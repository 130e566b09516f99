// SPDX-License-Identifier: Apache-2.0
import ControlPlane
import DataPlane
import Logging
import Synchronization
import TestSupport
import Testing

/// What the control plane makes of the kernel's tables, of both families, on a real veth pair.
@Suite struct KernelObservationTests {
    private static let lb0 = ObservedInterface(name: VethPair.nearName, vlan: nil)
    /// The link-local address of the gateway.
    private static let gateway = "fe80::64"

    /// A pair with 2001:db8:20::1/64 and ::64/64, and a default route by ``gateway``.
    private static func withIPv6(_ body: (VethPair) async throws -> Void) async throws {
        try await VethPair.with { pair in
            for (namespace, name) in [
                (pair.near, VethPair.nearName), (pair.far, VethPair.farName),
            ] {
                try namespace.run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=0")
                try namespace.run("sysctl", "-qw", "net.ipv6.conf.\(name).disable_ipv6=0")
            }
            let near = VethPair.nearName
            try pair.far.run("ip", "addr", "add", "\(gateway)/64", "dev", VethPair.farName, "nodad")
            try pair.far.run(
                "ip", "addr", "add", "2001:db8:20::64/64", "dev", VethPair.farName, "nodad")
            try pair.near.run("ip", "addr", "add", "2001:db8:20::1/64", "dev", near, "nodad")
            try pair.near.run("ip", "addr", "add", "fe80::1/64", "dev", near, "nodad")
            try pair.near.run("ip", "-6", "route", "add", "default", "via", gateway, "dev", near)
            try await body(pair)
        }
    }

    private static func read(_ pair: VethPair) async throws -> ObservedState {
        try await pair.near.perform { try NetworkMonitor.read(lb0) }
    }

    /// Follows the kernel until a state is as wanted, a bounded time; returns the last one.
    private static func follow(
        _ pair: VethPair, resolving wanted: [String],
        until isWanted: @escaping @Sendable (ObservedState) -> Bool
    ) async throws -> ObservedState {
        let addresses = Set(wanted.map(PlanFixture.address))
        return try await pair.near.perform {
            let first = try NetworkMonitor.read(lb0)
            let latest = Mutex(first)
            let monitor = NetworkMonitor(
                interface: lb0, state: first, log: Logger(label: "test"),
                wanted: { addresses }, unresolved: { [] },
                deliver: { state in
                    latest.withLock { $0 = state }
                    return true
                })
            // A child task: it stays in the namespace.
            return try await withThrowingTaskGroup { group in
                group.addTask { try await monitor.run() }
                for _ in 0..<100 {
                    if latest.withLock({ isWanted($0) }) { break }
                    try await Task.sleep(for: .milliseconds(50))
                }
                group.cancelAll()
                return latest.withLock { $0 }
            }
        }
    }

    @Test func `an interface has addresses and routes of both families`() async throws {
        try await Self.withIPv6 { pair in
            let state = try await Self.read(pair)
            #expect(state.isUp && state.mtu == 1500)
            #expect(state.mac == MACAddress(bytes: VethPair.nearMAC))
            #expect(state.ipv4 == PlanFixture.address(VethPair.nearAddress))
            #expect(state.ipv6 == PlanFixture.address("2001:db8:20::1"))
            #expect(state.addresses.contains(PlanFixture.address("fe80::1")))
            #expect(state.hostAddresses.contains(PlanFixture.address("::1")))
            let hops = [
                ("2001:db8:20::64", "2001:db8:20::64"), ("2001:db8:99::1", Self.gateway),
                (VethPair.farAddress, VethPair.farAddress),
            ]
            for (destination, hop) in hops {
                #expect(
                    state.nextHop(towards: PlanFixture.address(destination))
                        == PlanFixture.address(hop))
            }
            #expect(state.nextHop(towards: PlanFixture.address("10.9.9.9")) == nil)
        }
    }

    @Test func `an address that is on its way out comes last`() async throws {
        try await Self.withIPv6 { pair in
            let near = VethPair.nearName
            try pair.near.run("ip", "addr", "del", "2001:db8:20::1/64", "dev", near)
            try pair.near.run(
                "ip", "addr", "add", "2001:db8:20::d/64", "dev", near, "nodad", "preferred_lft",
                "0")
            #expect(try await Self.read(pair).ipv6 == PlanFixture.address("2001:db8:20::d"))
            for address in ["2001:db8:20::1", "2001:db8:20::2"] {
                try pair.near.run("ip", "addr", "add", "\(address)/64", "dev", near, "nodad")
            }
            let state = try await Self.read(pair)
            #expect(state.addresses.last == PlanFixture.address("2001:db8:20::d"))
        }
    }

    @Test func `an address that another host has is not sent from`() async throws {
        try await Self.withIPv6 { pair in
            let twice = "2001:db8:20::7"
            try pair.far.run("ip", "addr", "add", "\(twice)/64", "dev", VethPair.farName, "nodad")
            try pair.near.run("ip", "addr", "add", "\(twice)/64", "dev", VethPair.nearName)
            // Being checked at first, and then found to be a duplicate.
            for _ in 0..<100 {
                let state = try await Self.read(pair)
                #expect(!state.addresses.contains(PlanFixture.address(twice)))
                #expect(state.hostAddresses.contains(PlanFixture.address(twice)))
                let found = try pair.near.run("ip", "-6", "addr", "show", "dadfailed")
                if found.contains(twice) { return }
                try await Task.sleep(for: .milliseconds(50))
            }
            Issue.record("the kernel found no duplicate")
        }
    }

    @Test func `neighbours of both families are resolved, link-local gateways too`() async throws {
        try await Self.withIPv6 { pair in
            let wanted = [Self.gateway, "2001:db8:20::64", VethPair.farAddress]
            let addresses = wanted.map(PlanFixture.address)
            let state = try await Self.follow(pair, resolving: wanted) { state in
                addresses.allSatisfy { state.neighbours[$0]?.mac != nil }
            }
            for address in addresses {
                #expect(state.neighbours[address]?.mac == MACAddress(bytes: VethPair.farMAC))
            }
        }
    }

    @Test func `an IPv6 neighbour that nobody is has failed`() async throws {
        try await Self.withIPv6 { pair in
            let nobody = PlanFixture.address("2001:db8:20::77")
            let state = try await Self.follow(pair, resolving: ["2001:db8:20::77"]) { state in
                state.neighbours[nobody]?.hasFailed == true
            }
            #expect(state.neighbours[nobody]?.hasFailed == true)
        }
    }

    @Test func `IPv6 addresses and routes that come and go are followed`() async throws {
        try await Self.withIPv6 { pair in
            let prefix = try #require(IPPrefix("2001:db8:77::/48"))
            try pair.near.run(
                "ip", "-6", "route", "add", prefix.description, "via", "2001:db8:20::64")
            let first = try await Self.read(pair)
            #expect(
                first.routes.contains {
                    $0.prefix == prefix && $0.gateway == PlanFixture.address("2001:db8:20::64")
                })
            async let followed = Self.follow(pair, resolving: []) { state in
                !state.routes.contains { $0.prefix == prefix } && state.ipv6 == nil
            }
            try pair.near.run("ip", "-6", "route", "del", prefix.description)
            try pair.near.run("ip", "addr", "del", "2001:db8:20::1/64", "dev", VethPair.nearName)
            let last = try await followed
            #expect(last.ipv6 == nil && !last.routes.contains { $0.prefix == prefix })
        }
    }
}
