// SPDX-License-Identifier: Apache-2.0

/// What can be told of a frame that was refused.
extension FlowParser {
    /// The five-tuple that a frame seems to have; of zeros when it has no IP header.
    ///
    /// Checks nothing but that the bytes are there: for words about the frame, never for a decision.
    /// Ports are those behind a header without options or extensions, 0 otherwise.
    @inline(never)
    static func glimpse(_ frame: Frame, on link: borrowing LinkRecord) -> FiveTuple {
        guard let type = LinkHeader.type(of: frame, on: link),
            type == EthernetHeader.EtherType.ipv4 || type == EthernetHeader.EtherType.ipv6,
            let packet = FrameSummary.Packet(in: frame, at: link.headerLength)
        else { return .zero }
        let isLater = isLaterFragment(frame, at: link.headerLength)
        let hasPorts = !isLater && TransportProtocol(rawValue: packet.transport) != nil
        return FiveTuple(
            source: packet.source, destination: packet.destination,
            ports: hasPorts ? packet.firstWord : 0, transport: packet.transport)
    }

    private static func isLaterFragment(_ frame: Frame, at offset: Int) -> Bool {
        guard let ip = IPv4Header(in: frame, at: offset), ip.version == 4 else { return false }
        return ip.fragment & 0x1fff != 0
    }
}
