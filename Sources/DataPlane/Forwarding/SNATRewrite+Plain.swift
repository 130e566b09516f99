// SPDX-License-Identifier: Apache-2.0

/// ``SNATRewrite`` for a whole packet of IPv6 without extension headers, in words of eight bytes;
/// that of IPv4 is ``IPv4Rewrite``.
extension SNATRewrite {
    /// Rewrites the packet in place.
    ///
    /// - Returns: The packet; `nil` when it is not plain, or ``apply(to:_:isUDP:on:)`` may refuse
    ///   it. Then nothing has changed.
    @inline(__always)
    func applyPlainIPv6(
        to frame: Frame, _ layout: FrameLayout, isUDP: Bool, on link: borrowing LinkRecord
    ) -> Frame? {
        let offset = link.headerLength
        let transportOffset = offset &+ IPv6Header.byteCount
        let length = offset &+ Int(layout.packetLength)
        // One look at the length is enough: the parser has found the transport's header in it.
        guard layout.isIPv6, layout.kind == .whole, Int(layout.transportOffset) == transportOffset,
            Int(layout.packetLength) <= link.mtu, let packet = frame.cutIfLonger(than: length),
            let bytes = packet.bytes(at: 0, count: length)
        else { return nil }
        let place =
            transportOffset &+ (isUDP ? UDPHeader.checksumOffset : TCPHeader.checksumOffset)
        // Payload length, next header, hop limit.
        let first: UInt32 = bytes.load(offset &+ 4)
        let before: UInt16 = bytes.load(place)
        guard first & 0xff > 1, !isUDP || before != 0 else { return nil }
        let ports = UInt32(sourcePort) << 16 | UInt32(destinationPort)
        // Taking a word away is adding its complement. The carries collect in the upper half, so
        // that none is a branch.
        var change = UInt128(~before) &+ UInt128(ports)
        change &+= UInt128(~bytes.load(transportOffset, as: UInt32.self))
        change &+= UInt128(~bytes.load(offset &+ 8, as: UInt64.self))
        change &+= UInt128(~bytes.load(offset &+ 16, as: UInt64.self))
        change &+= UInt128(~bytes.load(offset &+ 24, as: UInt64.self))
        change &+= UInt128(~bytes.load(offset &+ 32, as: UInt64.self))
        change &+= UInt128(source.high) &+ UInt128(source.low)
        change &+= UInt128(destination.high) &+ UInt128(destination.low)
        bytes.store(first &- 1, at: offset &+ 4)
        bytes.store(source.high, at: offset &+ 8)
        bytes.store(source.low, at: offset &+ 16)
        bytes.store(destination.high, at: offset &+ 24)
        bytes.store(destination.low, at: offset &+ 32)
        bytes.store(ports, at: transportOffset)
        let sum = UInt64(truncatingIfNeeded: change)
        let folded =
            (sum >> 32) &+ (sum & 0xffff_ffff) &+ UInt64(truncatingIfNeeded: change >> 64)
        // One that comes to 0 is sent as all ones (RFC 8200 §8.1).
        let after = InternetChecksum(ofWideSum: folded).value
        bytes.store(_slowPath(after == 0) && isUDP ? 0xffff : after, at: place)
        return packet
    }
}
