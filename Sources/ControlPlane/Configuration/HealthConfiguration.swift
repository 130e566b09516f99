// SPDX-License-Identifier: Apache-2.0
internal import DataPlane

/// How a service's backends are probed.
public struct HealthConfiguration: Equatable, Sendable {
    /// What a probe does.
    public enum Kind: String, Sendable, CaseIterable {
        /// Nothing: a backend counts as healthy.
        case none
        /// Opens a TCP connection and resets it.
        case tcp
        /// Asks for a page and looks at status and body.
        case http
        /// The same inside TLS; the certificate is not judged.
        case https
        /// Asks a name server over UDP.
        case dns
        /// Sends an echo request.
        case icmp
    }

    /// What a probe does.
    public var kind = Kind.none
    /// Time from one probe of a backend to the next.
    public var interval = Duration.seconds(2)
    /// How long an answer may take.
    public var timeout = Duration.seconds(1)
    /// Successes in a row that make an unhealthy backend healthy.
    public var rise = 2
    /// Failures in a row that make it unhealthy.
    public var fall = 3
    /// By how much at most an interval is shortened at random, in percent.
    public var jitter = 10
    /// Port that is probed; `nil` means the backend's own, else the service's first.
    public var port: UInt16?
    /// Path that `http` and `https` ask for.
    public var path = "/"
    /// Host that they ask for, also the name in TLS; `nil` means the address that is probed.
    public var host: String?
    /// Status codes that are a success.
    public var statuses = [200...399]
    /// Text that the body must contain; `nil` means any body.
    public var body: String?
    /// Name that `dns` asks for.
    public var query = "."
    /// Whether the VIP is probed through the backend's tunnel; `nil` means in `dsr` only.
    public var throughTunnel: Bool?
    /// Whether packets as large as the tunnel carries are sent now and then.
    public var fullSize = false

    /// The defaults: no probes.
    public init() {}

    /// Whether backends of a service in this mode are probed through the tunnel.
    func isTunnelled(in mode: ForwardingMode) -> Bool {
        mode == .dsr && throughTunnel ?? true
    }
}

extension ServiceConfiguration {
    /// The port of a VIP that probes go to: the configured one, else the first single port of the
    /// protocol that the probe speaks, else the first single one at all.
    func probedPort(_ health: HealthConfiguration) -> UInt16? {
        if let port = health.port { return port }
        let transport: TransportProtocol = health.kind == .dns ? .udp : .tcp
        let single = ports.filter { $0.port != nil }
        return (single.first { $0.transport == transport } ?? single.first)?.port
    }
}
