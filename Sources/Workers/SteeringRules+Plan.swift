// SPDX-License-Identifier: Apache-2.0
public import DataPlane
public import XSKRing

extension SteeringRules {
    /// The rules that follow from a plan: what they match the pipeline can judge.
    public init(_ plan: ForwardingPlan) {
        self.init()
        mac = plan.link.mac.bytes
        vlan = plan.link.vlan
        answersEcho = plan.icmp.answersEcho
        for vip in plan.steeredVIPs {
            let prefix = Prefix(
                address: vip.prefix.network.mappedBytes, length: vip.prefix.mappedLength)
            vips[prefix] = Set(
                vip.rules.map { Ports($0.key.ports, transport: $0.key.transport.rawValue) })
        }
        for address in plan.snatAddresses { pool[address.address.mappedBytes] = address.ports }
        backends = Set(
            plan.snatSources.map { source in
                Endpoint(
                    address: source.address.mappedBytes, port: source.port,
                    transport: source.transport.rawValue)
            })
        tunnelEnds = Set(plan.backends.map(\.address.mappedBytes))
    }
}
