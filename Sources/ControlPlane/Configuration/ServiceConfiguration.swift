// SPDX-License-Identifier: Apache-2.0
public import DataPlane

/// A service: VIPs, ports, policy and backends.
public struct ServiceConfiguration: Equatable, Sendable {
    /// Name, unique in the file.
    public var name: String
    /// The addresses clients connect to.
    public var vips: [IPPrefix]
    /// The ports of every VIP.
    public var ports: [ServicePort]
    /// How packets reach the backends.
    public var mode: ForwardingMode
    /// Pool of `snat`; `nil` means the interface's address.
    public var snatPool: String?
    /// What it overrides from `defaults`.
    public var policy: ServicePolicy
    /// Its backends, in the order of the file.
    public var backends: [BackendConfiguration]
    /// Name of the service whose backends it shares.
    public var backendsFrom: String?
    /// Clients that are served; empty means all.
    public var sourceRanges: [IPPrefix] = []
    /// With fewer eligible backends the service counts as down.
    public var minimumBackends = 1

    /// A service of its parts.
    public init(
        name: String, vips: [IPPrefix], ports: [ServicePort], mode: ForwardingMode,
        snatPool: String? = nil, policy: ServicePolicy = .init(),
        backends: [BackendConfiguration] = [], backendsFrom: String? = nil
    ) {
        self.name = name
        self.vips = vips
        self.ports = ports
        self.mode = mode
        self.snatPool = snatPool
        self.policy = policy
        self.backends = backends
        self.backendsFrom = backendsFrom
    }
}

/// Ports and protocol, written `80/tcp`, `8000-8099/tcp` or `any/udp`.
public struct ServicePort: Hashable, Sendable {
    /// The ports; ``ServiceKey/anyPort`` for `any`.
    public var ports: ClosedRange<UInt16>
    /// The transport protocol.
    public var transport: TransportProtocol

    /// Ports of their two parts.
    public init(ports: ClosedRange<UInt16>, transport: TransportProtocol) {
        self.ports = ports
        self.transport = transport
    }

    /// One port.
    public init(port: UInt16, transport: TransportProtocol) {
        self.init(ports: port...port, transport: transport)
    }

    /// The port when it is one only.
    public var port: UInt16? { ports.count == 1 ? ports.lowerBound : nil }
}

extension ServicePort: CustomStringConvertible {
    /// As it is written.
    public var description: String { "\(ServiceKey.text(of: ports))/\(transport)" }
}

/// What the operator declared of a backend.
public enum AdminState: String, Sendable, CaseIterable, Codable {
    /// Gets new connections.
    case active
    /// Gets no new ones and keeps those it has.
    case draining
    /// Gets no packet at all; its connections end.
    case disabled
}

/// A server that receives a service's flows.
public struct BackendConfiguration: Equatable, Sendable {
    /// Name, unique in the service; the address when none was given.
    public var name: String
    /// Its address.
    public var address: IPAddress
    /// Its port; `nil` means the service's.
    public var port: UInt16?
    /// Relative share of new connections, 0 = none.
    public var weight: UInt16
    /// What the operator declared of it.
    public var adminState: AdminState

    /// A backend of its parts.
    public init(
        name: String? = nil, address: IPAddress, port: UInt16? = nil, weight: UInt16 = 100,
        adminState: AdminState = .active
    ) {
        self.name = name ?? Endpoint(address: address, port: port).description
        self.address = address
        self.port = port
        self.weight = weight
        self.adminState = adminState
    }
}
