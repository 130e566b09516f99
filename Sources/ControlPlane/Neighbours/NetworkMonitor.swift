// SPDX-License-Identifier: Apache-2.0
public import DataPlane
public import Logging
internal import Netlink
public import ServiceLifecycle

/// Follows the kernel's links, addresses, routes and neighbours, and has it resolve next hops.
///
/// The daemon speaks neither ARP nor neighbour discovery of its own: it asks the kernel, and takes
/// what the kernel says. After an event everything is read anew rather than patched, so that a lost
/// event cannot leave a wrong state behind.
public actor NetworkMonitor: Service {
    /// How often events are looked for while there are some, and how often when all is quiet: each
    /// look takes time from a core that a worker may be on.
    private static let period = Duration.milliseconds(10)
    private static let quietPeriod = Duration.milliseconds(50)
    /// How long after the last event, or the last frame that waited for a next hop, it is quiet.
    private static let quietAfter = Duration.seconds(2)
    /// How often the next hops of backends are looked at.
    private static let wantedPeriod = Duration.milliseconds(200)
    /// How often next hops that are not confirmed are asked for again.
    private static let askInterval = Duration.seconds(2)

    private let interface: ObservedInterface
    private let log: Logger
    private let wanted: @Sendable () async -> Set<IPAddress>
    private let unresolved: @Sendable () -> Set<IPAddress>
    private let deliver: @Sendable (ObservedState) async -> Bool

    private var delivery: ObservationDelivery
    /// Number of the device that neighbours are asked for on; `nil` while there is none.
    private var device: Int?
    private var asked: [IPAddress: ContinuousClock.Instant] = [:]

    /// A monitor of one interface.
    ///
    /// - Parameters:
    ///   - interface: The device, and the VLAN that its frames carry.
    ///   - state: What ``read(_:)`` has found.
    ///   - log: Where failures are told.
    ///   - wanted: Addresses whose hardware address is always needed.
    ///   - unresolved: Addresses that frames have begun to wait for since the last call.
    ///   - deliver: Takes a new state; `false` when it could not be taken over, and is to be told
    ///     again.
    public init(
        interface: ObservedInterface, state: ObservedState, log: Logger,
        wanted: @escaping @Sendable () async -> Set<IPAddress>,
        unresolved: @escaping @Sendable () -> Set<IPAddress>,
        deliver: @escaping @Sendable (ObservedState) async -> Bool
    ) {
        self.interface = interface
        delivery = ObservationDelivery(state)
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
        var latest = ContinuousClock.now
        while !Task.isCancelled && !Task.isShuttingDownGracefully {
            let isChanged = changed(&events)
            let now = ContinuousClock.now
            if isChanged || delivery.isRetryDue(at: now) { await refresh(&requests) }
            if askForUnresolved(&requests) || isChanged { latest = now }
            if now >= lookAgain {
                await askForWanted(&requests)
                lookAgain = now + Self.wantedPeriod
            }
            let isQuiet = now - latest >= Self.quietAfter
            try? await Task.sleep(for: isQuiet ? Self.quietPeriod : Self.period)
        }
    }

    private func changed(_ events: inout NetlinkSocket) -> Bool {
        do throws(NetlinkError) {
            return try !events.receiveEvents(timeoutMilliseconds: 0).isEmpty
        } catch {
            log.warning(
                "events lost",
                metadata: ["event": "\(EventKind.netlink.rawValue)", "message": "\(error)"])
            return true
        }
    }

    private func refresh(_ requests: inout NetlinkSocket) async {
        do throws(ObservationError) {
            let next = try read(&requests)
            guard delivery.isDue(next, at: .now) else { return }
            let isTaken = await deliver(next)
            delivery.note(next, isTaken: isTaken, at: .now)
        } catch {
            log.error("cannot read the kernel's tables", metadata: ["message": "\(error)"])
        }
    }

    // MARK: Resolution

    /// - Returns: Whether there were any.
    private func askForUnresolved(_ requests: inout NetlinkSocket) -> Bool {
        let addresses = unresolved()
        let now = ContinuousClock.now
        for address in addresses { ask(for: address, &requests, now) }
        return !addresses.isEmpty
    }

    private func askForWanted(_ requests: inout NetlinkSocket) async {
        let now = ContinuousClock.now
        for address in await wanted() {
            if let last = asked[address], now - last < Self.askInterval { continue }
            // Also when it is known: data passes the kernel by, so nothing else makes the kernel
            // confirm a neighbour that has become stale.
            ask(for: address, &requests, now)
        }
    }

    private func ask(
        for address: IPAddress, _ requests: inout NetlinkSocket, _ now: ContinuousClock.Instant
    ) {
        asked[address] = now
        if asked.count > 4096 { asked = asked.filter { now - $0.value < .seconds(10) } }
        guard let device else { return }
        do throws(NetlinkError) {
            try requests.resolve(address.bytes, interface: device)
        } catch {
            log.debug(
                "resolution refused", metadata: ["address": "\(address)", "message": "\(error)"])
        }
    }

    // MARK: Reading

    /// Reads what the kernel says of one interface.
    ///
    /// - Throws: When there is no such interface, or the kernel does not answer.
    public static func read(
        _ interface: ObservedInterface
    ) throws(ObservationError) -> ObservedState {
        let tables: KernelTables
        do throws(NetlinkError) {
            var requests = try NetlinkSocket(for: .requests)
            tables = try KernelTables(&requests)
        } catch {
            throw ObservationError(description: error.description)
        }
        return try ObservedState(of: interface, in: tables, before: nil)
    }

    private func read(
        _ requests: inout NetlinkSocket
    ) throws(ObservationError) -> ObservedState {
        let tables: KernelTables
        do throws(NetlinkError) {
            tables = try KernelTables(&requests)
        } catch {
            throw ObservationError(description: error.description)
        }
        device = try tables.device(of: interface).index
        return try ObservedState(of: interface, in: tables, before: delivery.state)
    }
}
