// SPDX-License-Identifier: Apache-2.0

/// Whether a frame is ours: the pure mirror of the steering program's decision.
///
/// The program (XSKRing/BPF/steer.bpf.c) decides before a frame reaches us, this type in the
/// offline commands and in tests. What it redirects the pipeline must be able to judge; what it
/// passes the kernel gets unchanged.
public enum Steering: Sendable {
    /// What the program does with a frame.
    case redirect
    /// The kernel gets it.
    case pass

    /// Decides on an Ethernet frame as it arrives.
    ///
    /// Reads no more than addresses, ports and protocol: everything else is for the pipeline to
    /// judge and to count.
    public static func decide(
        _ frame: UnsafeRawBufferPointer, with snapshot: borrowing ForwardingSnapshot
    ) -> Steering {
        guard let start = frame.baseAddress else { return .pass }
        let view = unsafe Frame(
            start: UnsafeMutableRawPointer(mutating: start), length: frame.count, headroom: 0)
        guard let flow = flow(of: view) else { return .pass }
        if snapshot.serviceTable.service(for: flow) != nil { return .redirect }
        guard let address = snapshot.snat.find(flow.destination),
            address.index(of: flow.destinationPort) != nil,
            snapshot.snatSources.contains(
                flow.source, port: flow.sourcePort, transport: flow.transportNumber)
        else { return .pass }
        return .redirect
    }

    /// The five-tuple of TCP and UDP over unfragmented IPv4; `nil` for anything else.
    private static func flow(of frame: Frame) -> FiveTuple? {
        guard let ethernet = EthernetHeader(in: frame),
            ethernet.type == EthernetHeader.EtherType.ipv4,
            let ip = IPv4Header(in: frame, at: EthernetHeader.byteCount), ip.version == 4,
            ip.headerLength >= IPv4Header.byteCount,
            ip.fragment & IPv4Header.Fragment.mask == 0,
            TransportProtocol(rawValue: ip.transport) != nil,
            let ports = UDPHeader(in: frame, at: EthernetHeader.byteCount + ip.headerLength)
        else { return nil }
        return FiveTuple(
            source: IPAddress(IPv4Address(ip.source)),
            destination: IPAddress(IPv4Address(ip.destination)), ports: ports.ports,
            transport: ip.transport)
    }
}
