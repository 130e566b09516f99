// SPDX-License-Identifier: Apache-2.0
public import DataPlane
internal import Foundation
public import Logging
internal import Netlink
public import ServiceLifecycle

/// Follows the kernel's links, addresses, routes and neighbours, and has it resolve next hops.
///
/// The daemon speaks no ARP of its own: it asks the kernel, and takes what the kernel says. After
/// an event everything is read anew rather than patched, so that a lost event cannot leave a
/// wrong state behind.
public actor NetworkMonitor: Service {
    /// How often events are looked for.
    private static let period = Duration.milliseconds(10)
    /// How often the next hops of backends are looked at.
    private static let wantedPeriod = Duration.milliseconds(200)
    /// How often next hops that are not confirmed are asked for again.
    private static let askInterval: TimeInterval = 2

    private let interface: String
    private let log: Logger
    private let wanted: @Sendable () async -> Set<IPAddress>
    private let unresolved: @Sendable () -> Set<IPAddress>
    private let deliver: @Sendable (ObservedState) async -> Void

    private var state: ObservedState
    private var asked: [IPAddress: Date] = [:]

    /// A monitor of one interface.
    ///
    /// - Parameters:
    ///   - interface: The device's name.
    ///   - state: What ``read(interface:since:)`` has found.
    ///   - log: Where failures are told.
    ///   - wanted: Addresses whose hardware address is always needed.
    ///   - unresolved: Addresses that frames have begun to wait for since the last call.
    ///   - deliver: Takes a new state.
    public init(
        interface: String, state: ObservedState, log: Logger,
        wanted: @escaping @Sendable () async -> Set<IPAddress>,
        unresolved: @escaping @Sendable () -> Set<IPAddress>,
        deliver: @escaping @Sendable (ObservedState) async -> Void
    ) {
        self.interface = interface
        self.state = state
        self.log = log
        self.wanted = wanted
        self.unresolved = unresolved
        self.deliver = deliver
    }

    /// Follows the kernel until the task is cancelled or the daemon stops.
    public func run() async throws {
        var events = try NetlinkSocket(for: .events)
        var requests = try NetlinkSocket(for: .requests)
        // What changed before the events were subscribed to is in this first reading.
        await refresh(&requests)
        var lookAgain = ContinuousClock.now
        while !Task.isCancelled && !Task.isShuttingDownGracefully {
            if changed(&events) { await refresh(&requests) }
            askForUnresolved(&requests)
            if ContinuousClock.now >= lookAgain {
                await askForWanted(&requests)
                lookAgain = .now + Self.wantedPeriod
            }
            try? await Task.sleep(for: Self.period)
        }
    }

    private func changed(_ events: inout NetlinkSocket) -> Bool {
        do throws(NetlinkError) {
            return try !events.receiveEvents(timeoutMilliseconds: 0).isEmpty
        } catch {
            log.warning("events lost", metadata: ["event": "netlink", "message": "\(error)"])
            return true
        }
    }

    private func refresh(_ requests: inout NetlinkSocket) async {
        do throws(ObservationError) {
            let next = try Self.read(interface, &requests, before: state)
            guard next != state else { return }
            state = next
            await deliver(next)
        } catch {
            log.error("cannot read the kernel's tables", metadata: ["message": "\(error)"])
        }
    }

    // MARK: Resolution

    private func askForUnresolved(_ requests: inout NetlinkSocket) {
        let now = Date()
        for address in unresolved() { ask(for: address, &requests, now) }
    }

    private func askForWanted(_ requests: inout NetlinkSocket) async {
        let now = Date()
        for address in await wanted() {
            if let last = asked[address], now.timeIntervalSince(last) < Self.askInterval {
                continue
            }
            // Also when it is known: data passes the kernel by, so nothing else makes the kernel
            // confirm a neighbour that has become stale.
            ask(for: address, &requests, now)
        }
    }

    private func ask(for address: IPAddress, _ requests: inout NetlinkSocket, _ now: Date) {
        asked[address] = now
        if asked.count > 4096 { asked = asked.filter { now.timeIntervalSince($0.value) < 10 } }
        guard let index = Self.index(of: interface) else { return }
        do throws(NetlinkError) {
            try requests.resolve(address.bytes, interface: index)
        } catch {
            log.debug(
                "resolution refused", metadata: ["address": "\(address)", "message": "\(error)"])
        }
    }

    private static func index(of interface: String) -> Int? {
        let index = unsafe if_nametoindex(interface)
        return index == 0 ? nil : Int(index)
    }

    // MARK: Reading

    /// Reads links, addresses, routes and neighbours of one interface.
    ///
    /// - Throws: When there is no such interface, or the kernel does not answer.
    public static func read(interface: String) throws(ObservationError) -> ObservedState {
        var requests = try openRequests()
        return try read(interface, &requests, before: nil)
    }

    private static func openRequests() throws(ObservationError) -> NetlinkSocket {
        do throws(NetlinkError) {
            return try NetlinkSocket(for: .requests)
        } catch {
            throw ObservationError(description: error.description)
        }
    }

    private static func read(
        _ interface: String, _ requests: inout NetlinkSocket, before: ObservedState?
    ) throws(ObservationError) -> ObservedState {
        var found: ObservedState?
        do throws(NetlinkError) {
            if let link = try requests.links().first(where: { $0.name == interface }) {
                let addresses = try requests.addresses()
                let routes = try requests.routes()
                let neighbours = try requests.neighbours()
                found = state(link, addresses, routes, neighbours, before)
            }
        } catch {
            throw ObservationError(description: error.description)
        }
        guard let found else {
            throw ObservationError(description: "there is no interface \(interface) any more")
        }
        return found
    }

    private static func state(
        _ link: LinkMessage, _ addresses: [AddressMessage], _ routes: [RouteMessage],
        _ neighbours: [NeighbourMessage], _ before: ObservedState?
    ) -> ObservedState {
        let own = addresses.filter { $0.interface == link.index }
        return ObservedState(
            mac: MACAddress(bytes: link.mac) ?? before?.mac ?? .zero, mtu: link.mtu,
            isUp: link.isUp && link.hasCarrier,
            addresses: (own.filter { !$0.isSecondary } + own.filter(\.isSecondary))
                .compactMap { IPAddress(bytes: $0.address) },
            routes: observedRoutes(routes, link.index),
            neighbours: observedNeighbours(
                neighbours.filter { $0.interface == link.index }, before?.neighbours ?? [:]))
    }

    private static func observedRoutes(
        _ routes: [RouteMessage], _ interface: Int
    ) -> Set<ObservedState.Route> {
        var found: Set<ObservedState.Route> = []
        for route in routes where route.isUnicast && route.table == RouteMessage.mainTable {
            guard let network = IPAddress(bytes: route.destination),
                let prefix = IPPrefix(network, length: route.prefixLength)
            else { continue }
            for hop in route.hops where hop.interface == interface {
                found.insert(
                    .init(
                        prefix: prefix, gateway: hop.gateway.flatMap { IPAddress(bytes: $0) },
                        metric: route.priority))
            }
        }
        return found
    }

    private static func observedNeighbours(
        _ neighbours: [NeighbourMessage], _ before: [IPAddress: ObservedState.Neighbour]
    ) -> [IPAddress: ObservedState.Neighbour] {
        var found: [IPAddress: ObservedState.Neighbour] = [:]
        for neighbour in neighbours {
            // Multicast groups are in the kernel's table too, and are nobody's next hop.
            guard let address = IPAddress(bytes: neighbour.address),
                MACAddress(bytes: neighbour.mac)?.isGroup != true
            else { continue }
            let isValid = !neighbour.state.isDisjoint(with: .valid)
            var next = ObservedState.Neighbour(
                mac: isValid ? MACAddress(bytes: neighbour.mac) : nil,
                hasFailed: neighbour.state.contains(.failed), since: Date())
            if let past = before[address], past.mac == next.mac, past.hasFailed == next.hasFailed {
                next.since = past.since
            }
            found[address] = next
        }
        return found
    }
}

/// Why the kernel's tables could not be read.
public struct ObservationError: Error, CustomStringConvertible {
    /// What was attempted, and the answer.
    public let description: String
}
