// SPDX-License-Identifier: Apache-2.0

/// What a service may override from `defaults`.
public struct ServicePolicy: Equatable, Sendable {
    /// What chooses the backend of a new flow.
    public enum Affinity: String, Sendable, CaseIterable {
        /// Addresses, ports and protocol.
        case fiveTuple = "five_tuple"
        /// The client's address.
        case clientAddress = "client_address"
        /// The destination port.
        case destinationPort = "destination_port"
        /// The connection ID of QUIC.
        case quicConnectionID = "quic_cid"
    }

    /// What happens when no backend is eligible.
    public enum NoBackend: String, Sendable, CaseIterable {
        /// Packets are dropped.
        case drop
        /// They are answered with RST or ICMP unreachable.
        case reject
    }

    /// What becomes of tracked connections of a backend that turned unhealthy.
    public enum Unhealthy: String, Sendable, CaseIterable {
        /// They stay with it, as it may return.
        case keep
        /// Their next packet goes to another backend.
        case move
    }

    /// Idle times after which a connection ends.
    public var timeouts = ConnectionTimeouts()
    /// How long connections of a removed backend are kept.
    public var drainTimeout = Duration.seconds(300)
    /// What chooses the backend of a new flow.
    public var affinity = Affinity.fiveTuple
    /// What happens when no backend is eligible.
    public var onNoBackend = NoBackend.drop
    /// What becomes of tracked connections of a backend that turned unhealthy.
    public var onUnhealthy = Unhealthy.keep
    /// How backends are probed.
    public var health = HealthConfiguration()

    /// The defaults.
    public init() {}
}

/// Idle times after which a connection ends, by protocol and state.
public struct ConnectionTimeouts: Equatable, Sendable {
    /// TCP with a completed handshake; RFC 5382 REQ-5 asks for 7 440 s at least.
    public var tcpEstablished = Duration.seconds(8000)
    /// TCP that opens or closes; RFC 5382 REQ-5 asks for 240 s at least.
    public var tcpTransitory = Duration.seconds(240)
    /// UDP; RFC 4787 REQ-5 recommends 300 s.
    public var udp = Duration.seconds(300)
    /// ICMP queries; RFC 5508 REQ-2 asks for 60 s at least.
    public var icmp = Duration.seconds(60)

    /// The defaults.
    public init() {}
}
