// SPDX-License-Identifier: Apache-2.0

/// ``SNATRewrite`` of a connection of IPv4, computed once: what takes the place of addresses and
/// ports, and what that changes in checksums.
///
/// Two words, which an entry has room for beside a key of IPv4.
struct IPv4Rewrite: BitwiseCopyable {
    /// Source and destination, the source in the upper half.
    private let addresses: UInt64
    /// Ports in the upper half, source first; then what is added to the one's complement of the
    /// header's checksum and to that of the transport's.
    private let portsAndChanges: UInt64

    /// One less of the TTL: what the word of TTL and protocol loses is 0x0100.
    private static let timeToLiveChange: UInt64 = 0xfeff

    /// What makes packets of a flow those that others are the answers to.
    ///
    /// - Precondition: both are of IPv4.
    @inline(__always)
    init(from flow: FiveTuple, answeredBy reply: FiveTuple) {
        addresses = reply.ipv4Addresses << 32 | reply.ipv4Addresses >> 32
        let ports = reply.ports << 16 | reply.ports >> 16
        let change = Self.halves(~flow.ipv4Addresses) &+ Self.halves(addresses)
        let transportChange = change &+ UInt64(~flow.ports) &+ UInt64(ports)
        portsAndChanges =
            UInt64(ports) << 32
            | UInt64(InternetChecksum.fold(wide: change &+ Self.timeToLiveChange)) << 16
            | UInt64(InternetChecksum.fold(wide: transportChange))
    }

    /// The words as they are kept.
    @inline(__always)
    init(words: (UInt64, UInt64)) {
        addresses = words.0
        portsAndChanges = words.1
    }

    @inline(__always)
    var words: (UInt64, UInt64) { (addresses, portsAndChanges) }

    @inline(__always)
    private var ports: UInt32 { UInt32(truncatingIfNeeded: portsAndChanges >> 32) }

    /// Whether a packet answers those that were rewritten so.
    @inline(__always)
    func isAnswered(by flow: FiveTuple) -> Bool {
        flow.isIPv4 && flow.ipv4Addresses == addresses << 32 | addresses >> 32
            && flow.ports == ports << 16 | ports >> 16
    }

    /// What makes answers to packets that were rewritten so answers to packets as they were, of
    /// `flow`.
    @inline(__always)
    func backwards(to flow: FiveTuple) -> IPv4Rewrite {
        let ports = flow.ports << 16 | flow.ports >> 16
        // Backwards the change is the complement; that of the TTL is made twice as much up for.
        let header = UInt32(~UInt16(truncatingIfNeeded: portsAndChanges >> 16))
        let change = InternetChecksum.fold(
            header &+ UInt32(truncatingIfNeeded: Self.timeToLiveChange &* 2))
        let transport = ~UInt16(truncatingIfNeeded: portsAndChanges)
        return IPv4Rewrite(
            words: (
                flow.ipv4Addresses << 32 | flow.ipv4Addresses >> 32,
                UInt64(ports) << 32 | UInt64(change) << 16 | UInt64(transport)
            ))
    }

    /// Rewrites a packet in place.
    ///
    /// - Returns: The packet; `nil` when it is not plain, or ``SNATRewrite/apply(to:_:isUDP:on:)``
    ///   may refuse it. Then nothing has changed.
    @inline(__always)
    func apply(
        to frame: Frame, _ layout: FrameLayout, isUDP: Bool, on link: borrowing LinkRecord
    ) -> Frame? {
        let offset = link.headerLength
        let transportOffset = offset &+ IPv4Header.byteCount
        let checksumOffset = isUDP ? UDPHeader.checksumOffset : TCPHeader.checksumOffset
        let length = offset &+ Int(layout.packetLength)
        // One look at the length is enough: the parser has found the transport's header in it.
        guard layout.kind == .whole, Int(layout.transportOffset) == transportOffset,
            Int(layout.packetLength) <= link.mtu, let packet = frame.cutIfLonger(than: length),
            let bytes = packet.bytes(at: 0, count: length)
        else { return nil }
        let changes = UInt32(truncatingIfNeeded: portsAndChanges)
        // TTL, protocol, checksum.
        let before: UInt32 = bytes.load(offset &+ 8)
        guard before >> 24 > 1 else { return nil }
        let header = InternetChecksum(ofSum: (~before & 0xffff) &+ changes >> 16)
        let life = (before >> 16 &- 0x0100) << 16 | UInt32(header.value)
        bytes.store(UInt64(life) << 32 | addresses >> 32, at: offset &+ 8)
        bytes.store(addresses << 32 | portsAndChanges >> 32, at: offset &+ 16)
        let place = transportOffset &+ checksumOffset
        let transport: UInt16 = bytes.load(place)
        if transport != 0 || !isUDP {
            // 0 means "no checksum" in UDP and stays; one that comes to 0 is sent as all ones
            // (RFC 768).
            let after = InternetChecksum(ofSum: UInt32(~transport) &+ changes & 0xffff).value
            bytes.store(_slowPath(after == 0) && isUDP ? 0xffff : after, at: place)
        }
        return packet
    }

    /// Both halves of a word added up.
    @inline(__always)
    private static func halves(_ word: UInt64) -> UInt64 { (word >> 32) &+ (word & 0xffff_ffff) }
}
