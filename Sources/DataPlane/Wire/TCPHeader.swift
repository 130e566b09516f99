// SPDX-License-Identifier: Apache-2.0

/// Control bits of a TCP segment (RFC 9293 §3.1).
public struct TCPFlags: OptionSet, Hashable, Sendable, BitwiseCopyable {
    /// The bits as they lie in the fourteenth byte of the header.
    public let rawValue: UInt8

    /// Flags from the fourteenth byte of the header.
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// No more data from the sender.
    public static let fin = TCPFlags(rawValue: 1)
    /// Synchronise sequence numbers.
    public static let syn = TCPFlags(rawValue: 2)
    /// Reset the connection.
    public static let rst = TCPFlags(rawValue: 4)
    /// Push function.
    public static let psh = TCPFlags(rawValue: 8)
    /// The acknowledgement field is significant.
    public static let ack = TCPFlags(rawValue: 16)
}

/// The TCP header (RFC 9293 §3.1), in place.
struct TCPHeader {
    /// Bytes without options.
    static let byteCount = 20
    static let checksumOffset = 16

    private enum Offset {
        static let sourcePort = 0
        static let destinationPort = 2
        static let sequence = 4
        static let acknowledgement = 8
        static let dataOffset = 12
        static let flags = 13
        static let window = 14
        static let checksum = checksumOffset
    }

    private let bytes: HeaderBytes

    /// `nil` when `frame` ends before the twentieth byte from `offset`.
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
    /// Bytes with options: 0–60, as the header claims.
    @inline(__always) var headerLength: Int {
        Int(bytes.load(Offset.dataOffset, as: UInt8.self) >> 4) &* 4
    }
    @inline(__always) var flags: TCPFlags { TCPFlags(rawValue: bytes.load(Offset.flags)) }
    @inline(__always) var checksum: InternetChecksum {
        get { InternetChecksum(bytes.load(Offset.checksum)) }
        nonmutating set { bytes.store(newValue.value, at: Offset.checksum) }
    }
    var sequence: UInt32 { bytes.load(Offset.sequence) }
    var acknowledgement: UInt32 { bytes.load(Offset.acknowledgement) }

    /// Writes a whole header without options, window and data; the checksum is 0.
    func writeReset(
        ports: FiveTuple, sequence: UInt32, acknowledgement: UInt32, flags: TCPFlags
    ) {
        sourcePort = ports.sourcePort
        destinationPort = ports.destinationPort
        bytes.store(sequence, at: Offset.sequence)
        bytes.store(acknowledgement, at: Offset.acknowledgement)
        bytes.store(0x5000 | UInt16(flags.rawValue), at: Offset.dataOffset)
        bytes.store(0 as UInt16, at: Offset.window)
        bytes.store(0 as UInt32, at: Offset.checksum)
    }
}
