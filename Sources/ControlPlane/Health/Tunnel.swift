// SPDX-License-Identifier: Apache-2.0
public import DataPlane

/// A tunnel to a backend, and what probes send inside.
public struct Tunnel: Hashable, Sendable {
    /// Destination of the inner packet.
    public let vip: IPAddress
    /// Its port; 0 for probes without one.
    public let port: UInt16
    /// Source of the inner packet: the interface's address of the VIP's family.
    public let source: IPAddress
    /// Destination of the outer packet.
    public let backend: IPAddress
    /// Source of the outer packet: one that the backend takes tunnels from, as traffic has it.
    public let outerSource: IPAddress
    /// Bytes of the largest inner packet that fits the interface's MTU.
    public let largestPacket: Int

    /// The tunnel to a backend of a service; `nil` when the interface has no address of a family
    /// that is needed.
    ///
    /// The outer source is the interface's address, or the first one of the prefix that traffic's
    /// is hashed over: backends may trust nothing else. The service's first VIP is asked.
    ///
    /// - Parameters:
    ///   - backend: Where it ends.
    ///   - service: Whose VIP is inside.
    ///   - port: The VIP's port.
    ///   - encapsulation: What says where tunnels come from.
    ///   - observed: The interface's addresses and MTU.
    public init?(
        to backend: BackendConfiguration, of service: ServiceConfiguration, port: UInt16,
        _ encapsulation: EncapsulationConfiguration, _ observed: ObservedState
    ) {
        let family = backend.address.family
        guard let vip = service.vips.first?.network, let source = observed.address(vip.family),
            let outerSource = encapsulation.sourcePrefix(family)?.network
                ?? observed.address(family)
        else { return nil }
        self.init(
            vip: vip, port: port, source: source, backend: backend.address,
            outerSource: outerSource,
            largestPacket: observed.mtu - (family == .ipv4 ? 20 : 40))
    }

    /// A tunnel of its parts.
    init(
        vip: IPAddress, port: UInt16, source: IPAddress, backend: IPAddress,
        outerSource: IPAddress, largestPacket: Int
    ) {
        self.vip = vip
        self.port = port
        self.source = source
        self.backend = backend
        self.outerSource = outerSource
        self.largestPacket = largestPacket
    }
}

/// Where a packet from a VIP belongs: ports of TCP and UDP, and of the families, are apart.
enum TunnelInbox: Hashable {
    case tcp(AddressFamily, UInt16)
    case udp(AddressFamily, UInt16)
    case echo(AddressFamily, UInt16)

    /// That of a packet; `nil` when it can be no answer to a probe.
    init?(_ packet: InnerPacket) {
        let payload = packet.payload[...]
        let family = packet.destination.family
        guard payload.count >= 8 else { return nil }
        switch packet.transport {
        case InnerPacket.tcp: self = .tcp(family, WireBytes.number(payload, at: 2))
        case InnerPacket.udp: self = .udp(family, WireBytes.number(payload, at: 2))
        case InnerPacket.icmpv4, InnerPacket.icmpv6:
            self = .echo(family, WireBytes.number(payload, at: 4))
        default: return nil
        }
    }
}
