// SPDX-License-Identifier: Apache-2.0

/// A VIP or prefix of VIPs, and what is offered there.
///
/// The steering program finds a packet's VIP by the longest prefix and then asks for the port, so
/// a VIP also has the rules of the prefixes around it.
public struct SteeredVIP: Hashable, Sendable {
    /// The VIPs.
    public let prefix: IPPrefix
    /// What is offered, in the order in which a packet is compared.
    public let rules: [Rule]

    /// Ports of a protocol, and the service that is offered there.
    public struct Rule: Hashable, Sendable {
        /// What matches.
        public let key: ServiceKey
        /// The number of the service.
        public let service: UInt16
    }
}

extension ForwardingPlan {
    /// The VIPs of all services, each prefix once.
    public var steeredVIPs: [SteeredVIP] {
        var rules: [IPPrefix: [SteeredVIP.Rule]] = [:]
        for service in services {
            for key in service.keys {
                rules[key.vips, default: []].append(.init(key: key, service: service.id))
            }
        }
        let prefixes = rules.keys.sorted {
            ($0.network, $0.mappedLength) < ($1.network, $1.mappedLength)
        }
        // In this order a prefix comes before all those inside it.
        var around: [IPPrefix] = []
        return prefixes.map { prefix in
            while let last = around.last, !last.contains(prefix.network) { around.removeLast() }
            around.append(prefix)
            let own = around.reversed().flatMap { outer in
                (rules[outer] ?? []).sorted {
                    ($0.key.ports.count, $0.key) < ($1.key.ports.count, $1.key)
                }
            }
            return SteeredVIP(prefix: prefix, rules: own)
        }
    }
}
