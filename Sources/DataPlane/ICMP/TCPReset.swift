// SPDX-License-Identifier: Apache-2.0

/// The RST that a closed port answers with (RFC 9293 §3.10.7.1).
enum TCPReset {
    /// Turns a segment into the RST that refuses it.
    ///
    /// - Returns: The frame, without Ethernet addresses; `nil` for a segment that is a RST itself,
    ///   or whose checksum is wrong.
    static func build(
        refusing frame: Frame, _ layout: FrameLayout, _ flow: FiveTuple, identification: UInt16,
        on link: borrowing LinkRecord
    ) -> Frame? {
        let offset = Int(layout.transportOffset)
        let segment = frame.cut(to: link.headerLength + Int(layout.packetLength))
        let byteCount = segment.length - offset
        let received = GeneratedPacket(
            source: flow.source, destination: flow.destination,
            transport: TransportProtocol.tcp.rawValue, identification: identification)
        guard layout.kind == .whole, !layout.tcpFlags.contains(.rst),
            received.checksum(of: segment, at: offset, byteCount: byteCount) == 0,
            let tcp = TCPHeader(in: segment, at: offset)
        else { return nil }

        var sequence: UInt32 = 0
        var acknowledgement: UInt32 = 0
        var flags: TCPFlags = .rst
        if layout.tcpFlags.contains(.ack) {
            sequence = tcp.acknowledgement
        } else {
            let controls = layout.tcpFlags.intersection([.syn, .fin]).rawValue.nonzeroBitCount
            acknowledgement =
                tcp.sequence
                &+ UInt32(truncatingIfNeeded: byteCount - tcp.headerLength + controls)
            flags = [.rst, .ack]
        }
        let reply = GeneratedPacket(
            source: flow.destination, destination: flow.source,
            transport: TransportProtocol.tcp.rawValue, identification: identification)
        guard
            let frame = reply.wrap(
                segment, dataAt: offset, byteCount: TCPHeader.byteCount, on: link)
        else { return nil }
        let start = link.headerLength + reply.ipHeaderByteCount
        guard let header = TCPHeader(in: frame, at: start) else { return nil }
        header.writeReset(
            ports: flow.reversed, sequence: sequence, acknowledgement: acknowledgement,
            flags: flags)
        header.checksum = InternetChecksum(
            reply.checksum(of: frame, at: start, byteCount: TCPHeader.byteCount))
        return frame
    }
}
