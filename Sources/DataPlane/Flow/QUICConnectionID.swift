// SPDX-License-Identifier: Apache-2.0

/// The server that a QUIC datagram names (RFC 9000 §17, draft-ietf-quic-load-balancers §5).
///
/// A server that takes part writes its number, two bytes, after the first byte of the connection
/// IDs it issues; the number is the last two bytes of its address. So a datagram finds its server
/// on any worker and any load balancer also after the client's address has changed.
enum QUICConnectionID {
    private static let longHeader: UInt8 = 0x80
    private static let typeMask: UInt8 = 0x30
    private static let initial: UInt8 = 0x00
    private static let zeroRTT: UInt8 = 0x10

    /// The number of the server; `nil` when the client chose the ID (Initial and 0-RTT), or there
    /// is none.
    static func server(of frame: Frame, _ layout: FrameLayout) -> UInt16? {
        let start = Int(layout.transportOffset) + UDPHeader.byteCount
        guard let first = frame.bytes(at: start, count: 4) else { return nil }
        let kind: UInt8 = first.load(0)
        guard kind & longHeader != 0 else { return first.load(2) }
        let isClients = kind & typeMask == initial || kind & typeMask == zeroRTT
        // Version, then the length of the ID.
        guard !isClients, let header = frame.bytes(at: start, count: 9),
            header.load(5, as: UInt8.self) >= 3
        else { return nil }
        return header.load(7)
    }

    /// The number of a backend.
    static func number(of backend: IPAddress) -> UInt16 {
        UInt16(truncatingIfNeeded: backend.low)
    }
}
