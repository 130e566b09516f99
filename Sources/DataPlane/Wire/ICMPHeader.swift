// SPDX-License-Identifier: Apache-2.0

/// The first eight bytes of an ICMP message of either family (RFC 792, RFC 4443), in place.
///
///     +---------------+---------------+-------------------------------+
///     |     Type      |     Code      |            Checksum           |
///     +---------------+---------------+-------------------------------+
///     |      identifier and sequence number, MTU, or pointer          |
///     +---------------------------------------------------------------+
struct ICMPHeader {
    static let byteCount = 8

    private let bytes: HeaderBytes

    /// `nil` when `frame` ends before the eighth byte from `offset`.
    @inline(__always)
    init?(in frame: Frame, at offset: Int) {
        guard let bytes = frame.bytes(at: offset, count: Self.byteCount) else { return nil }
        self.bytes = bytes
    }

    var type: UInt8 { bytes.load(0) }
    var code: UInt8 { bytes.load(1) }
    var checksum: UInt16 {
        get { bytes.load(2) }
        nonmutating set { bytes.store(newValue, at: 2) }
    }
    /// Both first bytes, the word that the checksum sees.
    var typeAndCode: UInt16 {
        get { bytes.load(0) }
        nonmutating set { bytes.store(newValue, at: 0) }
    }
    /// The second half: MTU of IPv6 (RFC 4443 §3.2); of IPv4 in its lower 16 bits (RFC 1191 §4).
    var rest: UInt32 {
        get { bytes.load(4) }
        nonmutating set { bytes.store(newValue, at: 4) }
    }
}

/// Numbers of ICMPv4 messages (RFC 792).
enum ICMPv4 {
    static let transport: UInt8 = 1
    static let echoReply: UInt8 = 0
    static let unreachable: UInt8 = 3
    static let echoRequest: UInt8 = 8
    static let timeExceeded: UInt8 = 11
    static let parameterProblem: UInt8 = 12
    /// Codes of ``unreachable``.
    static let portUnreachable: UInt8 = 3
    static let fragmentationNeeded: UInt8 = 4

    /// Whether a message of `type` quotes the packet that caused it and still has a meaning:
    /// source quench (RFC 6633) has none, redirects are for routers.
    static func isError(_ type: UInt8) -> Bool {
        type == unreachable || type == timeExceeded || type == parameterProblem
    }
}

/// Numbers of ICMPv6 messages (RFC 4443).
enum ICMPv6 {
    static let transport: UInt8 = 58
    static let unreachable: UInt8 = 1
    static let packetTooBig: UInt8 = 2
    static let timeExceeded: UInt8 = 3
    static let parameterProblem: UInt8 = 4
    static let echoRequest: UInt8 = 128
    static let echoReply: UInt8 = 129
    /// Code of ``unreachable``.
    static let portUnreachable: UInt8 = 4

    static func isError(_ type: UInt8) -> Bool {
        (unreachable...parameterProblem).contains(type)
    }

    /// Multicast listener and neighbour discovery (RFC 3810, RFC 4861): the kernel's, always.
    static func isForKernel(_ type: UInt8) -> Bool {
        (130...137).contains(type) || type == 143
    }
}
