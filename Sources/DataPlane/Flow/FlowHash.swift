// SPDX-License-Identifier: Apache-2.0

/// The keyed 64-bit hash of a five-tuple.
///
/// Multiplies 64-bit words of the tuple, each hidden behind a secret word, and folds the 128-bit
/// products (the construction of wyhash). Without the key a set of flows that collide cannot be
/// computed; public hashes such as CRC32C, Toeplitz or jhash give no such set either, as nothing
/// of theirs is used. Different uses take different bits: ``slotWord`` the upper half, the
/// connection table the lower.
struct FlowHash: BitwiseCopyable, Sendable {
    private let secrets: (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64)

    init(key: HashKey) {
        func secret(_ index: UInt8) -> UInt64 {
            // Odd, so that no multiplication loses its low bit.
            SipHash.hash([UInt8]("xdplb flow hash".utf8) + [index], key: key) | 1
        }
        secrets = (secret(0), secret(1), secret(2), secret(3), secret(4), secret(5))
    }

    @inline(__always)
    func hash(_ flow: FiveTuple) -> UInt64 {
        flow.isIPv4 ? hash(ipv4: flow) : hash(ipv6: flow)
    }

    /// The hash of a flow that is known to be of IPv4.
    @inline(__always)
    func hash(ipv4 flow: FiveTuple) -> UInt64 { hash(addresses: flow.ipv4Addresses, flow.tail) }

    /// The hash of a flow that is known not to be.
    @inline(__always)
    func hash(ipv6 flow: FiveTuple) -> UInt64 {
        hash(addresses: Self.folded(flow, secrets.4, secrets.5), flow.tail)
    }

    @inline(__always)
    private func hash(addresses: UInt64, _ tail: UInt64) -> UInt64 {
        let mixed = Self.fold(addresses ^ secrets.0, tail ^ secrets.1)
        // What depends on the ports goes into both factors: with one of them constant for a client,
        // sequential ports would give its multiples, and those are spread as evenly or unevenly as
        // it happens to be.
        return Self.fold(mixed ^ secrets.2, (mixed << 32 | mixed >> 32) ^ addresses ^ secrets.3)
    }

    /// Both addresses of IPv6 in one word.
    @inline(__always)
    private static func folded(_ flow: FiveTuple, _ first: UInt64, _ second: UInt64) -> UInt64 {
        let source = fold(flow.wideSource.low ^ first, flow.wideSource.high ^ second)
        let destination = fold(
            flow.wideDestination.low ^ second, flow.wideDestination.high ^ first)
        return source ^ (destination << 32 | destination >> 32)
    }

    @inline(__always)
    private static func fold(_ left: UInt64, _ right: UInt64) -> UInt64 {
        let product = left.multipliedFullWidth(by: right)
        return product.low ^ product.high
    }
}

extension UInt64 {
    /// The half of a flow hash that chooses the Maglev slot.
    @inline(__always)
    var slotWord: UInt32 { UInt32(truncatingIfNeeded: self >> 32) }
}
