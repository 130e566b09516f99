// SPDX-License-Identifier: Apache-2.0

/// The UDP header (RFC 768), in place.
struct UDPHeader {
    static let byteCount = 8
    static let checksumOffset = 6

    private enum Offset {
        static let sourcePort = 0
        static let destinationPort = 2
        static let length = 4
        static let checksum = checksumOffset
    }

    private let bytes: HeaderBytes

    /// `nil` when `frame` ends before the eighth byte from `offset`.
    @inline(__always)
    init?(in frame: Frame, at offset: Int) {
        guard let bytes = frame.bytes(at: offset, count: Self.byteCount) else { return nil }
        self.bytes = bytes
    }

    /// Both ports in one word, source in the upper half.
    @inline(__always) var ports: UInt32 { bytes.load(Offset.sourcePort) }
    @inline(__always) var sourcePort: UInt16 {
        get { bytes.load(Offset.sourcePort) }
        nonmutating set { bytes.store(newValue, at: Offset.sourcePort) }
    }
    @inline(__always) var destinationPort: UInt16 {
        get { bytes.load(Offset.destinationPort) }
        nonmutating set { bytes.store(newValue, at: Offset.destinationPort) }
    }
    /// Header and data in bytes.
    @inline(__always) var length: UInt16 { bytes.load(Offset.length) }
    /// 0 means that the sender computed none.
    @inline(__always) var checksum: InternetChecksum {
        get { InternetChecksum(bytes.load(Offset.checksum)) }
        nonmutating set { bytes.store(newValue.value, at: Offset.checksum) }
    }
}
