// SPDX-License-Identifier: Apache-2.0
internal import DataPlane

/// Numbers of services, backends and SNAT addresses, which stay the same for as long as a
/// connection may refer to them.
///
/// Connections hold numbers and not addresses, so one may be given to something else only after
/// the workers have ended every connection that has it; whoever does that says so with
/// ``releaseBackend(_:)``, ``releaseService(_:)`` or ``releaseSNATAddress(_:)``.
struct IdentityRegistry: Equatable, Sendable {
    /// A backend's number, and what belongs to it.
    struct BackendIdentity: Hashable, Sendable {
        var id: UInt16
        /// Which of the backends that had the number it is.
        var epoch: UInt16
        /// Its set of SNAT ports; `nil` when it was never used with `snat`.
        var portSpace: UInt16?
    }

    /// A backend of a service.
    struct BackendKey: Hashable, Sendable {
        var service: String
        var endpoint: Endpoint
    }

    /// How many there may be, fixed at the start.
    struct Limits: Hashable, Sendable {
        var services = CounterPage.serviceCapacity
        var backends = CounterPage.backendCapacity
        var snatBackends: Int
        var snatAddresses: Int
    }

    let limits: Limits
    private(set) var services: [String: UInt16] = [:]
    private(set) var backends: [BackendKey: BackendIdentity] = [:]
    private(set) var snatAddresses: [IPAddress: UInt16] = [:]
    private var serviceNumbers: NumberPool
    private var backendNumbers: NumberPool
    private var portSpaceNumbers: NumberPool
    private var snatAddressNumbers: NumberPool
    /// How often each backend's number was given back.
    private var epochs: [UInt16: UInt16] = [:]

    init(limits: Limits) {
        self.limits = limits
        serviceNumbers = NumberPool(of: "services", limit: limits.services)
        backendNumbers = NumberPool(of: "backends", limit: limits.backends)
        portSpaceNumbers = NumberPool(
            of: "backends of snat services", limit: limits.snatBackends)
        snatAddressNumbers = NumberPool(of: "SNAT addresses", limit: limits.snatAddresses)
    }

    /// The number of a service, a new one if it has none.
    ///
    /// - Throws: When all are given.
    mutating func service(_ name: String) throws(ChangeRefused) -> UInt16 {
        if let id = services[name] { return id }
        let id = try serviceNumbers.take()
        services[name] = id
        return id
    }

    /// The identity of a backend, a new one if it has none.
    ///
    /// - Parameters:
    ///   - key: The backend.
    ///   - usesSNAT: Whether it needs SNAT ports from now on.
    /// - Returns: Its number, and what belongs to it.
    /// - Throws: When all numbers, or all sets of ports, are given.
    mutating func backend(
        _ key: BackendKey, usesSNAT: Bool
    ) throws(ChangeRefused) -> BackendIdentity {
        var identity: BackendIdentity
        if let known = backends[key] {
            identity = known
        } else {
            let id = try backendNumbers.take()
            identity = BackendIdentity(id: id, epoch: epochs[id, default: 0], portSpace: nil)
        }
        if usesSNAT, identity.portSpace == nil {
            identity.portSpace = try portSpaceNumbers.take()
        }
        backends[key] = identity
        return identity
    }

    /// The number of a SNAT address, a new one if it has none.
    ///
    /// - Throws: When all are given.
    mutating func snatAddress(_ address: IPAddress) throws(ChangeRefused) -> UInt16 {
        if let id = snatAddresses[address] { return id }
        let id = try snatAddressNumbers.take()
        snatAddresses[address] = id
        return id
    }

    /// Says that no connection refers to a service any more.
    mutating func releaseService(_ name: String) {
        if let id = services.removeValue(forKey: name) { serviceNumbers.giveBack(id) }
    }

    /// Says that no connection refers to a backend any more.
    mutating func releaseBackend(_ key: BackendKey) {
        guard let identity = backends.removeValue(forKey: key) else { return }
        if let space = identity.portSpace { portSpaceNumbers.giveBack(space) }
        epochs[identity.id] = identity.epoch &+ 1
        backendNumbers.giveBack(identity.id)
    }

    /// Says that no connection has a port of a SNAT address any more.
    mutating func releaseSNATAddress(_ address: IPAddress) {
        if let id = snatAddresses.removeValue(forKey: address) { snatAddressNumbers.giveBack(id) }
    }
}

/// Numbers of one kind, each given to one thing at a time.
private struct NumberPool: Equatable, Sendable {
    private let kind: String
    private let limit: Int
    /// Those from here on were never given.
    private var next = 0
    private var free: [UInt16] = []

    init(of kind: String, limit: Int) {
        self.kind = kind
        self.limit = limit
    }

    mutating func take() throws(ChangeRefused) -> UInt16 {
        if let number = free.popLast() { return number }
        guard next < limit else {
            throw ChangeRefused(
                kind: .conflict, code: "limit",
                message: """
                    the limit of \(limit) \(kind) is reached; it is set at start. Nothing was changed. \
                    Restart the daemon to size the tables for the current configuration
                    """)
        }
        defer { next += 1 }
        return UInt16(next)
    }

    mutating func giveBack(_ number: UInt16) { free.append(number) }
}
