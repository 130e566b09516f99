// SPDX-License-Identifier: Apache-2.0

/// A packet of our own in the chunk of the frame that caused it.
struct GeneratedPacket {
    /// RFC 1700's default, and what the outer headers have.
    static let timeToLive: UInt8 = 64

    var source: IPAddress
    var destination: IPAddress
    var transport: UInt8
    var typeOfService: UInt8 = 0
    /// Of IPv4; the packet may be fragmented on its way.
    var identification: UInt16

    var ipHeaderByteCount: Int {
        source.isIPv4 ? IPv4Header.byteCount : IPv6Header.byteCount
    }

    /// Puts link and IP headers in front of `byteCount` bytes of data at `offset`.
    ///
    /// - Returns: The frame, whose Ethernet addresses are not set yet; `nil` when the chunk has no
    ///   room for the headers.
    func wrap(
        _ frame: Frame, dataAt offset: Int, byteCount: Int, on link: borrowing LinkRecord
    ) -> Frame? {
        let start = offset - ipHeaderByteCount - link.headerLength
        let moved = start >= 0 ? frame.dropping(first: start) : frame.grown(by: -start)
        let end = link.headerLength + ipHeaderByteCount + byteCount
        guard let moved, end <= moved.length else { return nil }
        let packet = moved.cut(to: end)
        if source.isIPv4 {
            guard LinkHeader.write(EthernetHeader.EtherType.ipv4, in: packet, on: link),
                let ip = IPv4Header(in: packet, at: link.headerLength)
            else { return nil }
            ip.write(
                typeOfService: typeOfService,
                totalLength: UInt16(truncatingIfNeeded: IPv4Header.byteCount + byteCount),
                identification: identification, fragment: 0, timeToLive: Self.timeToLive,
                transport: transport, source: source.lowWord, destination: destination.lowWord)
        } else {
            guard LinkHeader.write(EthernetHeader.EtherType.ipv6, in: packet, on: link),
                let ip = IPv6Header(in: packet, at: link.headerLength)
            else { return nil }
            ip.write(
                trafficClass: typeOfService, flowLabel: 0,
                payloadLength: UInt16(truncatingIfNeeded: byteCount), nextHeader: transport,
                hopLimit: Self.timeToLive, source: source, destination: destination)
        }
        return packet
    }

    /// The checksum of `byteCount` bytes at `offset`, with the pseudo header where the protocol
    /// has one; the checksum field itself must be 0.
    func checksum(of frame: Frame, at offset: Int, byteCount: Int) -> UInt16 {
        let hasPseudoHeader = transport != ICMPv4.transport
        let initial =
            hasPseudoHeader
            ? InternetChecksum.pseudoHeaderSum(
                source, destination, length: byteCount, transport: transport) : 0
        let sum = InternetChecksum.sum(of: frame, at: offset, count: byteCount, adding: initial)
        return InternetChecksum(ofSum: sum ?? 0).value
    }
}

/// A bound on what the load balancer says itself: so many a second, and as many at once.
struct TokenBucket: BitwiseCopyable {
    private var tokens: UInt64 = 0
    private var latest = Tick(milliseconds: 0)
    private var isFresh = true

    /// Takes one of `rate` a second; `false` when none is left.
    mutating func take(at tick: Tick, rate: UInt32) -> Bool {
        // Thousandths of a token, so that no remainder is lost.
        let full = UInt64(rate) * 1000
        if isFresh {
            isFresh = false
            tokens = full
        } else {
            tokens = min(tokens + UInt64(tick.elapsed(since: latest)) * UInt64(rate), full)
        }
        latest = tick
        guard tokens >= 1000 else { return false }
        tokens -= 1000
        return true
    }
}
