// SPDX-License-Identifier: Apache-2.0

/// The IPv6 header (RFC 8200 §3), in place.
///
///      0                   1                   2                   3
///      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
///     +-------+---------------+---------------------------------------+
///     |Version| Traffic Class |              Flow Label               |
///     +-------+---------------+-------+---------------+---------------+
///     |         Payload Length        |  Next Header  |   Hop Limit   |
///     +-------------------------------+---------------+---------------+
///     |                    Source Address, 16 bytes                   |
///     |                 Destination Address, 16 bytes                 |
///     +---------------------------------------------------------------+
struct IPv6Header {
    /// Bytes without extension headers.
    static let byteCount = 40

    private enum Offset {
        static let payloadLength = 4
        static let nextHeader = 6
        static let hopLimit = 7
        static let source = 8
        static let destination = 24
    }

    private let bytes: HeaderBytes

    /// `nil` when `frame` ends before the fortieth byte from `offset`.
    @inline(__always)
    init?(in frame: Frame, at offset: Int) {
        guard let bytes = frame.bytes(at: offset, count: Self.byteCount) else { return nil }
        self.bytes = bytes
    }

    @inline(__always) private var firstWord: UInt32 { bytes.load(0) }

    @inline(__always) var version: UInt8 { UInt8(truncatingIfNeeded: firstWord >> 28) }
    /// DSCP and ECN.
    @inline(__always) var trafficClass: UInt8 { UInt8(truncatingIfNeeded: firstWord >> 20) }
    /// Bytes after this header, extension headers included.
    @inline(__always) var payloadLength: UInt16 { bytes.load(Offset.payloadLength) }
    @inline(__always) var nextHeader: UInt8 { bytes.load(Offset.nextHeader) }
    @inline(__always) var hopLimit: UInt8 {
        get { bytes.load(Offset.hopLimit) }
        nonmutating set { bytes.store(newValue, at: Offset.hopLimit) }
    }
    @inline(__always) var source: IPAddress {
        get { address(at: Offset.source) }
        nonmutating set { setAddress(newValue, at: Offset.source) }
    }
    @inline(__always) var destination: IPAddress {
        get { address(at: Offset.destination) }
        nonmutating set { setAddress(newValue, at: Offset.destination) }
    }

    /// Writes a whole header; the flow label has twenty bits.
    @inline(__always)
    func write(
        trafficClass: UInt8, flowLabel: UInt32, payloadLength: UInt16, nextHeader: UInt8,
        hopLimit: UInt8, source: IPAddress, destination: IPAddress
    ) {
        let first = 6 << 28 | UInt32(trafficClass) << 20 | flowLabel & 0xf_ffff
        let second =
            UInt32(payloadLength) << 16 | UInt32(nextHeader) << 8 | UInt32(hopLimit)
        bytes.store(UInt64(first) << 32 | UInt64(second), at: 0)
        self.source = source
        self.destination = destination
    }

    @inline(__always)
    private func address(at offset: Int) -> IPAddress {
        IPAddress(high: bytes.load(offset), low: bytes.load(offset + 8))
    }

    @inline(__always)
    private func setAddress(_ address: IPAddress, at offset: Int) {
        bytes.store(address.high, at: offset)
        bytes.store(address.low, at: offset + 8)
    }
}
