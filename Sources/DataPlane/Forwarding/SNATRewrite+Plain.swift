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
        guard layout.isIPv6, layout.kind == .whole, Int(layout.transportOffset) == transportOffset,
            Int(layout.packetLength) <= link.mtu,
            let ip = frame.bytes(at: offset, count: IPv6Header.byteCount + UDPHeader.byteCount),
            let checksum = frame.bytes(
                at: transportOffset
                    &+ (isUDP ? UDPHeader.checksumOffset : TCPHeader.checksumOffset),
                count: 2)
        else { return nil }
        // Payload length, next header, hop limit; ports.
        let first: UInt32 = ip.load(4)
        let ports: UInt32 = ip.load(40)
        guard first & 0xff > 1, !isUDP || checksum.load(0) != 0 as UInt16 else { return nil }
        let newPorts = UInt32(sourcePort) << 16 | UInt32(destinationPort)
        let lost = Self.sum(
            Self.sum(ip.load(8), ip.load(16)), Self.sum(ip.load(24), ip.load(32)))
        let gained = Self.sum(
            Self.sum(source.high, source.low), Self.sum(destination.high, destination.low))
        // Taking a sum away is adding its complement.
        let addresses = Self.sum(~lost, gained)
        let change = Self.sum(addresses, UInt64(~ports) &+ UInt64(newPorts))
        ip.store(first &- 1, at: 4)
        ip.store(source.high, at: 8)
        ip.store(source.low, at: 16)
        ip.store(destination.high, at: 24)
        ip.store(destination.low, at: 32)
        ip.store(newPorts, at: 40)
        // One that comes to 0 is sent as all ones (RFC 8200 §8.1).
        let before: UInt16 = checksum.load(0)
        let after = InternetChecksum(ofWideSum: Self.sum(change, UInt64(~before))).value
        checksum.store(after == 0 && isUDP ? 0xffff : after, at: 0)
        return frame.cutIfLonger(than: offset &+ Int(layout.packetLength))
    }

    /// The one's-complement sum of words, which is that of the four 16-bit words in each.
    @inline(__always)
    private static func sum(_ left: UInt64, _ right: UInt64) -> UInt64 {
        let (sum, carries) = left.addingReportingOverflow(right)
        return sum &+ (carries ? 1 : 0)
    }
}
