// SPDX-License-Identifier: Apache-2.0

/// The 16-bit one's-complement checksum of IPv4, TCP, UDP and ICMPv4 (RFC 1071).
///
/// Holds the value as it stands in the header, in host byte order. Changes are collected as a
/// ``Delta`` and applied once, so that one computation serves the IP and the transport checksum.
struct InternetChecksum: Equatable, Sendable {
    /// The sum of what words lost and gained, not yet folded.
    ///
    /// - Precondition: words start at an even offset from the first covered byte. An IPv4 address
    ///   counts as two of them.
    struct Delta {
        private(set) var sum: UInt32 = 0

        /// Accounts for one 16-bit word of the covered bytes changing.
        @inline(__always)
        mutating func replace(_ old: UInt16, with new: UInt16) {
            sum &+= UInt32(~old) &+ UInt32(new)
        }

        /// Accounts for an IPv4 address changing, both in host byte order.
        @inline(__always)
        mutating func replace(_ old: UInt32, with new: UInt32) {
            sum &+= (~old >> 16) &+ (~old & 0xffff) &+ (new >> 16) &+ (new & 0xffff)
        }

        /// Accounts for an IPv6 address changing.
        @inline(__always)
        mutating func replace(_ old: IPAddress, with new: IPAddress) {
            sum &+=
                InternetChecksum.wordSum(~old.high) &+ InternetChecksum.wordSum(~old.low)
                &+ InternetChecksum.wordSum(new.high) &+ InternetChecksum.wordSum(new.low)
        }
    }

    let value: UInt16

    /// The words of `count` bytes from `offset` added up, an odd last byte as if a 0 followed;
    /// `nil` when the frame has fewer.
    ///
    /// - Parameters:
    ///   - frame: The frame.
    ///   - offset: Where the bytes begin.
    ///   - count: How many there are.
    ///   - initial: What is added to: a pseudo header, or words before these.
    /// - Returns: The sum, to be folded once.
    static func sum(
        of frame: Frame, at offset: Int, count: Int, adding initial: UInt32 = 0
    ) -> UInt32? {
        guard let bytes = frame.bytes(at: offset, count: count) else { return nil }
        // 64 bits never overflow over a frame; folded once at the end.
        var sum = UInt64(initial)
        var position = 0
        while position &+ 4 <= count {
            sum &+= UInt64(bytes.load(position, as: UInt32.self))
            position &+= 4
        }
        if position &+ 2 <= count {
            sum &+= UInt64(bytes.load(position, as: UInt16.self))
            position &+= 2
        }
        if position < count { sum &+= UInt64(bytes.load(position, as: UInt8.self)) << 8 }
        let once = (sum & 0xffff) &+ (sum >> 16 & 0xffff) &+ (sum >> 32)
        return UInt32(truncatingIfNeeded: once & 0xffff) &+ UInt32(truncatingIfNeeded: once >> 16)
    }

    /// The sum of the pseudo header of RFC 8200 §8.1.
    static func pseudoHeaderSum(
        _ source: IPAddress, _ destination: IPAddress, length: Int, transport: UInt8
    ) -> UInt32 {
        UInt32(transport) &+ UInt32(truncatingIfNeeded: length)
            &+ wordSum(source.high) &+ wordSum(source.low)
            &+ wordSum(destination.high) &+ wordSum(destination.low)
    }

    @inline(__always)
    private static func wordSum(_ half: UInt64) -> UInt32 {
        UInt32(truncatingIfNeeded: half >> 48) &+ UInt32(truncatingIfNeeded: half >> 32 & 0xffff)
            &+ UInt32(truncatingIfNeeded: half >> 16 & 0xffff)
            &+ UInt32(truncatingIfNeeded: half & 0xffff)
    }

    @inline(__always)
    init(_ value: UInt16) { self.value = value }

    /// The checksum of words that add up to `sum`.
    @inline(__always)
    init(ofSum sum: UInt32) { value = ~Self.fold(sum) }

    /// The checksum of 32-bit words that add up to `sum`.
    ///
    /// Each counts its two 16-bit words at once: folding makes no difference between them.
    @inline(__always)
    init(ofWideSum sum: UInt64) {
        value = ~Self.fold(wide: sum)
    }

    /// The checksum after a change, without rereading what it covers.
    ///
    /// Equation 3 of RFC 1624 §3: HC' = ~(~HC + ~m + m'). The shorter form of RFC 1141 can yield
    /// 0xffff where a full recomputation yields 0.
    @inline(__always)
    func applying(_ delta: Delta) -> InternetChecksum {
        InternetChecksum(~Self.fold(UInt32(~value) &+ delta.sum))
    }

    /// Adds the carries back in until 16 bits are left.
    ///
    /// The upper half of a sum with its halves exchanged has the carry out of the lower one in it.
    @inline(__always)
    static func fold(_ sum: UInt32) -> UInt16 {
        UInt16(truncatingIfNeeded: (sum &+ (sum << 16 | sum >> 16)) >> 16)
    }

    /// The same of 32-bit words that were added up.
    @inline(__always)
    static func fold(wide sum: UInt64) -> UInt16 {
        fold(UInt32(truncatingIfNeeded: (sum &+ (sum << 32 | sum >> 32)) >> 32))
    }
}
