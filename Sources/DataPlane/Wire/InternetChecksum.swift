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
    }

    let value: UInt16

    @inline(__always)
    init(_ value: UInt16) { self.value = value }

    /// The checksum of words that add up to `sum`.
    @inline(__always)
    init(ofSum sum: UInt32) { value = ~Self.fold(sum) }

    /// The checksum after a change, without rereading what it covers.
    ///
    /// Equation 3 of RFC 1624 §3: HC' = ~(~HC + ~m + m'). The shorter form of RFC 1141 can yield
    /// 0xffff where a full recomputation yields 0.
    @inline(__always)
    func applying(_ delta: Delta) -> InternetChecksum {
        InternetChecksum(~Self.fold(UInt32(~value) &+ delta.sum))
    }

    /// Adds the carries back in until 16 bits are left.
    @inline(__always)
    private static func fold(_ sum: UInt32) -> UInt16 {
        let once = (sum & 0xffff) &+ (sum >> 16)
        return UInt16(truncatingIfNeeded: (once & 0xffff) &+ (once >> 16))
    }
}
