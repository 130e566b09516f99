// SPDX-License-Identifier: Apache-2.0

/// The IPv4 header (RFC 791 §3.1), in place.
///
///      0                   1                   2                   3
///      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
///     +-------+-------+---------------+-------------------------------+
///     |Version|  IHL  |Type of Service|          Total Length         |
///     +---------------+---------------+-----+-------------------------+
///     |         Identification        |Flags|     Fragment Offset     |
///     +---------------+---------------+-----+-------------------------+
///     | Time to Live  |    Protocol   |        Header Checksum        |
///     +---------------+---------------+-------------------------------+
///     |                         Source Address                        |
///     |                      Destination Address                      |
///     +---------------------------------------------------------------+
struct IPv4Header {
    /// Bytes without options.
    static let byteCount = 20

    private enum Offset {
        static let versionAndLength = 0
        static let typeOfService = 1
        static let totalLength = 2
        static let identification = 4
        static let fragment = 6
        static let timeToLive = 8
        static let transport = 9
        static let checksum = 10
        static let source = 12
        static let destination = 16
    }

    /// Bits of the word that holds flags and fragment offset.
    enum Fragment {
        static let dontFragment: UInt16 = 0x4000
        /// More fragments, or an offset: part of a larger packet.
        static let mask: UInt16 = 0x3fff
    }

    private let bytes: HeaderBytes

    /// `nil` when `frame` ends before the twentieth byte from `offset`.
    @inline(__always)
    init?(in frame: Frame, at offset: Int) {
        guard let bytes = frame.bytes(at: offset, count: Self.byteCount) else { return nil }
        self.bytes = bytes
    }

    @inline(__always) var version: UInt8 {
        bytes.load(Offset.versionAndLength, as: UInt8.self) >> 4
    }
    /// Bytes with options: 0–60, as the header claims.
    @inline(__always) var headerLength: Int {
        Int(bytes.load(Offset.versionAndLength, as: UInt8.self) & 15) &* 4
    }
    @inline(__always) var typeOfService: UInt8 { bytes.load(Offset.typeOfService) }
    @inline(__always) var totalLength: UInt16 { bytes.load(Offset.totalLength) }
    @inline(__always) var identification: UInt16 { bytes.load(Offset.identification) }
    /// Flags and fragment offset, see ``Fragment``.
    @inline(__always) var fragment: UInt16 { bytes.load(Offset.fragment) }
    @inline(__always) var transport: UInt8 { bytes.load(Offset.transport) }

    @inline(__always) var timeToLive: UInt8 {
        get { bytes.load(Offset.timeToLive) }
        nonmutating set { bytes.store(newValue, at: Offset.timeToLive) }
    }
    /// Time to live and protocol, the word that the checksum sees when the former changes.
    @inline(__always) var timeToLiveWord: UInt16 { bytes.load(Offset.timeToLive) }
    @inline(__always) var checksum: InternetChecksum {
        get { InternetChecksum(bytes.load(Offset.checksum)) }
        nonmutating set { bytes.store(newValue.value, at: Offset.checksum) }
    }
    @inline(__always) var source: UInt32 {
        get { bytes.load(Offset.source) }
        nonmutating set { bytes.store(newValue, at: Offset.source) }
    }
    @inline(__always) var destination: UInt32 {
        get { bytes.load(Offset.destination) }
        nonmutating set { bytes.store(newValue, at: Offset.destination) }
    }

    /// Whether the twenty bytes without options add up to what the checksum says (RFC 1071).
    @inline(__always)
    var hasValidChecksumWithoutOptions: Bool {
        let first = bytes.load(0, as: UInt64.self)
        let second = bytes.load(8, as: UInt64.self)
        let third = bytes.load(16, as: UInt32.self)
        let sum =
            (first >> 32) &+ (first & 0xffff_ffff) &+ (second >> 32) &+ (second & 0xffff_ffff)
            &+ UInt64(third)
        return InternetChecksum(ofWideSum: sum).value == 0
    }

    /// Whether the header with its options, `headerLength` bytes, adds up to its checksum.
    ///
    /// `false` when the frame ends before the header does.
    static func hasValidChecksum(in frame: Frame, at offset: Int, headerLength: Int) -> Bool {
        guard let bytes = frame.bytes(at: offset, count: headerLength) else { return false }
        var sum: UInt32 = 0
        for position in stride(from: 0, to: headerLength, by: 2) {
            sum &+= UInt32(bytes.load(position, as: UInt16.self))
        }
        return InternetChecksum(ofSum: sum).value == 0
    }

    /// Writes a whole header without options, checksum included.
    @inline(__always)
    func write(
        typeOfService: UInt8, totalLength: UInt16, identification: UInt16, fragment: UInt16,
        timeToLive: UInt8, transport: UInt8, source: UInt32, destination: UInt32
    ) {
        let first = 0x4500_0000 | UInt64(typeOfService) << 16 | UInt64(totalLength)
        let second = UInt64(identification) << 16 | UInt64(fragment)
        let third = UInt64(timeToLive) << 24 | UInt64(transport) << 16
        let sum = first &+ second &+ third &+ UInt64(source) &+ UInt64(destination)
        let checksum = InternetChecksum(ofWideSum: sum).value
        bytes.store(first << 32 | second, at: Offset.versionAndLength)
        bytes.store((third | UInt64(checksum)) << 32 | UInt64(source), at: Offset.timeToLive)
        bytes.store(destination, at: Offset.destination)
    }
}
