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
    private var freeServices: [UInt16] = []
    private var freeBackends: [BackendIdentity] = []
    private var freePortSpaces: [UInt16] = []
    private var freeSNATAddresses: [UInt16] = []
    private var nextService = 0
    private var nextBackend = 0
    private var nextPortSpace = 0
    private var nextSNATAddress = 0

    init(limits: Limits) { self.limits = limits }

    /// The number of a service, a new one if it has none.
    mutating func service(_ name: String) throws(ChangeRefused) -> UInt16 {
        if let id = services[name] { return id }
        let id: UInt16
        if let free = freeServices.popLast() {
            id = free
        } else {
            guard nextService < limits.services else {
                throw Self.exhausted("services", limits.services)
            }
            id = UInt16(nextService)
            nextService += 1
        }
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
        } else if let free = freeBackends.popLast() {
            identity = BackendIdentity(id: free.id, epoch: free.epoch &+ 1, portSpace: nil)
        } else {
            guard nextBackend < limits.backends else {
                throw Self.exhausted("backends", limits.backends)
            }
            identity = BackendIdentity(id: UInt16(nextBackend), epoch: 0, portSpace: nil)
            nextBackend += 1
        }
        if usesSNAT, identity.portSpace == nil {
            if let free = freePortSpaces.popLast() {
                identity.portSpace = free
            } else {
                guard nextPortSpace < limits.snatBackends else {
                    throw Self.exhausted("backends of snat services", limits.snatBackends)
                }
                identity.portSpace = UInt16(nextPortSpace)
                nextPortSpace += 1
            }
        }
        backends[key] = identity
        return identity
    }

    /// The number of a SNAT address, a new one if it has none.
    mutating func snatAddress(_ address: IPAddress) throws(ChangeRefused) -> UInt16 {
        if let id = snatAddresses[address] { return id }
        let id: UInt16
        if let free = freeSNATAddresses.popLast() {
            id = free
        } else {
            guard nextSNATAddress < limits.snatAddresses else {
                throw Self.exhausted("SNAT addresses", limits.snatAddresses)
            }
            id = UInt16(nextSNATAddress)
            nextSNATAddress += 1
        }
        snatAddresses[address] = id
        return id
    }

    /// Says that no connection refers to a service any more.
    mutating func releaseService(_ name: String) {
        if let id = services.removeValue(forKey: name) { freeServices.append(id) }
    }

    /// Says that no connection refers to a backend any more.
    mutating func releaseBackend(_ key: BackendKey) {
        guard let identity = backends.removeValue(forKey: key) else { return }
        if let space = identity.portSpace { freePortSpaces.append(space) }
        freeBackends.append(identity)
    }

    /// Says that no connection has a port of a SNAT address any more.
    mutating func releaseSNATAddress(_ address: IPAddress) {
        if let id = snatAddresses.removeValue(forKey: address) { freeSNATAddresses.append(id) }
    }

    private static func exhausted(_ what: String, _ limit: Int) -> ChangeRefused {
        ChangeRefused(
            kind: .conflict, code: "limit",
            message: """
                the limit of \(limit) \(what) is reached; it is set at start. Nothing was changed. \
                Restart the daemon to size the tables for the current configuration
                """)
    }
}
