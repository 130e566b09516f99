// SPDX-License-Identifier: Apache-2.0
internal import DataPlane

// Configured values as the plan has them.

extension ForwardingPlan {
    /// Takes over what is configured for all services.
    mutating func configure(by configuration: Configuration, workers: Int) {
        workerCount = workers
        forwardsStatelessly = configuration.connections.tableFull == .stateless
        tracksFragments = configuration.connections.fragments == .track
        newPerSource = configuration.connections.newPerSource.map { rate in
            let workers = UInt32(max(workers, 1))
            return (rate + workers - 1) / workers
        }
        icmp.answersEcho = configuration.icmp.echoReply
        icmp.errorsPerSecond = configuration.icmp.errorsPerSecond
        encapsulation = Encapsulation(configuration.encapsulation)
    }
}

extension ForwardingPlan.Encapsulation {
    init(_ configuration: EncapsulationConfiguration) {
        self.init()
        ipv4SourcePrefix = configuration.ipv4SourcePrefix
        ipv6SourcePrefix = configuration.ipv6SourcePrefix
        timeToLive = configuration.outerTimeToLive
        dscp = configuration.dscp
        repliesTooBig = configuration.tooBig == .reply
        clampsMSS = configuration.mssClamp == .auto
    }
}

extension ForwardingPlan.Affinity {
    init(_ affinity: ServicePolicy.Affinity) {
        switch affinity {
        case .fiveTuple: self = .fiveTuple
        case .clientAddress: self = .clientAddress
        case .destinationPort: self = .destinationPort
        case .quicConnectionID: self = .quicConnectionID
        }
    }
}

extension ForwardingPlan.NoBackend {
    init(_ choice: ServicePolicy.NoBackend) {
        switch choice {
        case .drop: self = .drop
        case .reject: self = .reject
        }
    }
}

extension ForwardingPlan.Timeouts {
    init(_ timeouts: ConnectionTimeouts) {
        self.init()
        tcpEstablished = timeouts.tcpEstablished.clampedMilliseconds
        tcpTransitory = timeouts.tcpTransitory.clampedMilliseconds
        udp = timeouts.udp.clampedMilliseconds
    }
}
