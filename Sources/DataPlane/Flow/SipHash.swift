// SPDX-License-Identifier: Apache-2.0

/// A 128-bit secret that flow hashes and Maglev tables are keyed with.
///
/// Load balancers of a fleet share one, so that they choose alike; nobody outside knows it, so
/// that nobody can compute flows that collide.
public struct HashKey: Hashable, Sendable {
    let low: UInt64
    let high: UInt64

    /// A key of 16 bytes; `nil` for any other count.
    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 16 else { return nil }
        low = bytes.prefix(8).reversed().reduce(0) { $0 << 8 | UInt64($1) }
        high = bytes.dropFirst(8).reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// A key of 32 hexadecimal digits; `nil` for anything else.
    public init?(hex text: String) {
        let digits = Array(text.utf8)
        let bytes = stride(from: 0, to: digits.count - 1, by: 2).compactMap { index in
            UInt8(String(decoding: digits[index...index + 1], as: UTF8.self), radix: 16)
        }
        guard digits.count == 32, bytes.count == 16, !text.contains("+") else { return nil }
        self.init(bytes: bytes)
    }

    /// A key that nobody can guess, from the system's source of randomness.
    public static func random() -> HashKey {
        var generator = SystemRandomNumberGenerator()
        return HashKey(low: generator.next(), high: generator.next())
    }

    private init(low: UInt64, high: UInt64) {
        self.low = low
        self.high = high
    }

    /// The key as ``init(hex:)`` takes it: 32 hexadecimal digits.
    public var hex: String {
        [low, high].map { word in
            let digits = String(word.byteSwapped, radix: 16)
            return String(repeating: "0", count: 16 - digits.count) + digits
        }.joined()
    }

    /// A number that tells two keys apart without telling what they are.
    public var identity: UInt64 { SipHash.hash([UInt8]("xdplb key identity".utf8), key: self) }
}

/// SipHash-2-4 (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012).
///
/// For control-path work, where its strength is wanted and its 20 ns do not matter; packets are
/// hashed by ``FlowHash``.
enum SipHash {
    static func hash(_ message: [UInt8], key: HashKey) -> UInt64 {
        var v0 = key.low ^ 0x736f_6d65_7073_6575
        var v1 = key.high ^ 0x646f_7261_6e64_6f6d
        var v2 = key.low ^ 0x6c79_6765_6e65_7261
        var v3 = key.high ^ 0x7465_6462_7974_6573

        func rotate(_ value: UInt64, _ count: UInt64) -> UInt64 {
            value << count | value >> (64 - count)
        }
        func round() {
            v0 &+= v1
            v1 = rotate(v1, 13) ^ v0
            v0 = rotate(v0, 32)
            v2 &+= v3
            v3 = rotate(v3, 16) ^ v2
            v0 &+= v3
            v3 = rotate(v3, 21) ^ v0
            v2 &+= v1
            v1 = rotate(v1, 17) ^ v2
            v2 = rotate(v2, 32)
        }
        func absorb(_ word: UInt64) {
            v3 ^= word
            round()
            round()
            v0 ^= word
        }

        var rest = message[...]
        while rest.count >= 8 {
            absorb(rest.prefix(8).reversed().reduce(0) { $0 << 8 | UInt64($1) })
            rest = rest.dropFirst(8)
        }
        let tail = rest.reversed().reduce(0) { $0 << 8 | UInt64($1) }
        absorb(UInt64(truncatingIfNeeded: message.count) << 56 | tail)

        v2 ^= 0xff
        for _ in 0..<4 { round() }
        return v0 ^ v1 ^ v2 ^ v3
    }
}
