// SPDX-License-Identifier: Apache-2.0

/// ``SNATRewrite`` for a whole packet behind an IP header without options or extensions, in words
/// of eight bytes.
extension SNATRewrite {
    /// Rewrites the packet in place.
    ///
    /// - Returns: The packet; `nil` when it is not plain, or ``apply(to:_:isUDP:on:)`` may refuse
    ///   it. Then nothing has changed.
    @inline(__always)
    func applyPlain(
        to frame: Frame, _ layout: FrameLayout, isUDP: Bool, on link: borrowing LinkRecord
    ) -> Frame? {
        guard layout.kind == .whole else { return nil }
        let isDone =
            layout.isIPv6
            ? applyPlainIPv6(to: frame, layout, isUDP: isUDP, on: link)
            : applyPlainIPv4(to: frame, layout, isUDP: isUDP, on: link)
        return isDone ? frame.cut(to: link.headerLength &+ Int(layout.packetLength)) : nil
    }

    @inline(__always)
    private func applyPlainIPv4(
        to frame: Frame, _ layout: FrameLayout, isUDP: Bool, on link: borrowing LinkRecord
    ) -> Bool {
        let offset = link.headerLength
        let transportOffset = offset &+ IPv4Header.byteCount
        guard Int(layout.transportOffset) == transportOffset,
            Int(layout.packetLength) <= link.mtu,
            let ip = frame.bytes(at: offset, count: IPv4Header.byteCount + UDPHeader.byteCount),
            let checksum = frame.bytes(
                at: transportOffset
                    &+ (isUDP ? UDPHeader.checksumOffset : TCPHeader.checksumOffset),
                count: 2)
        else { return false }
        // TTL, protocol, checksum, source; destination, ports.
        let first: UInt64 = ip.load(8)
        let second: UInt64 = ip.load(16)
        guard first >> 56 > 1 else { return false }
        let ports = UInt32(sourcePort) << 16 | UInt32(destinationPort)
        let addresses =
            UInt64(UInt32(truncatingIfNeeded: ~first)) &+ (~second >> 32)
            &+ UInt64(source.lowWord) &+ UInt64(destination.lowWord)
        // One less of the TTL: what the word loses is 0x0100.
        let header = InternetChecksum(
            ofWideSum: (~first >> 32 & 0xffff) &+ addresses &+ 0xfeff)
        ip.store(
            (first >> 48 &- 0x0100) << 48 | UInt64(header.value) << 32 | UInt64(source.lowWord),
            at: 8)
        ip.store(UInt64(destination.lowWord) << 32 | UInt64(ports), at: 16)
        let change = addresses &+ UInt64(UInt32(truncatingIfNeeded: ~second)) &+ UInt64(ports)
        adjust(checksum, by: change, isUDP: isUDP)
        return true
    }

    @inline(__always)
    private func applyPlainIPv6(
        to frame: Frame, _ layout: FrameLayout, isUDP: Bool, on link: borrowing LinkRecord
    ) -> Bool {
        let offset = link.headerLength
        let transportOffset = offset &+ IPv6Header.byteCount
        guard Int(layout.transportOffset) == transportOffset,
            Int(layout.packetLength) <= link.mtu,
            let ip = frame.bytes(at: offset, count: IPv6Header.byteCount + UDPHeader.byteCount),
            let checksum = frame.bytes(
                at: transportOffset
                    &+ (isUDP ? UDPHeader.checksumOffset : TCPHeader.checksumOffset),
                count: 2)
        else { return false }
        // Payload length, next header, hop limit; ports.
        let first: UInt32 = ip.load(4)
        let ports: UInt32 = ip.load(40)
        guard first & 0xff > 1, !isUDP || checksum.load(0) != 0 as UInt16 else { return false }
        let newPorts = UInt32(sourcePort) << 16 | UInt32(destinationPort)
        let lost =
            Self.halves(~ip.load(8)) &+ Self.halves(~ip.load(16)) &+ Self.halves(~ip.load(24))
            &+ Self.halves(~ip.load(32)) &+ UInt64(~ports)
        let gained =
            Self.halves(source.high) &+ Self.halves(source.low) &+ Self.halves(destination.high)
            &+ Self.halves(destination.low) &+ UInt64(newPorts)
        ip.store(first &- 1, at: 4)
        ip.store(source.high, at: 8)
        ip.store(source.low, at: 16)
        ip.store(destination.high, at: 24)
        ip.store(destination.low, at: 32)
        ip.store(newPorts, at: 40)
        adjust(checksum, by: lost &+ gained, isUDP: isUDP)
        return true
    }

    /// Both 32-bit words added up.
    @inline(__always)
    private static func halves(_ word: UInt64) -> UInt64 { (word >> 32) &+ (word & 0xffff_ffff) }

    /// Changes a transport checksum, as ``InternetChecksum/applying(_:)`` does, by a sum of words.
    ///
    /// 0 means "no checksum" in UDP and stays; one that comes to 0 is sent as all ones (RFC 768).
    @inline(__always)
    private func adjust(_ checksum: HeaderBytes, by change: UInt64, isUDP: Bool) {
        let before: UInt16 = checksum.load(0)
        guard before != 0 || !isUDP else { return }
        let after = InternetChecksum(ofWideSum: UInt64(~before) &+ change).value
        checksum.store(after == 0 && isUDP ? 0xffff : after, at: 0)
    }
}
