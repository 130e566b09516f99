// SPDX-License-Identifier: Apache-2.0

/// A 128-bit Internet address (RFC 4291), as two numbers in host byte order.
public struct IPv6Address: Hashable, Sendable, BitwiseCopyable {
    /// The first eight bytes on the wire.
    public let high: UInt64
    /// The last eight bytes on the wire.
    public let low: UInt64

    /// An address from its two halves in host byte order.
    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// The eight 16-bit groups, first on the wire first.
    var groups: [UInt16] {
        (0..<8).map { group in
            UInt16(truncatingIfNeeded: (group < 4 ? high : low) >> (48 - 16 * UInt64(group % 4)))
        }
    }

    private init(groups: [UInt16]) {
        high = groups[..<4].reduce(0) { $0 << 16 | UInt64($1) }
        low = groups[4...].reduce(0) { $0 << 16 | UInt64($1) }
    }
}

extension IPv6Address: Comparable {
    /// Orders by number.
    public static func < (left: Self, right: Self) -> Bool {
        (left.high, left.low) < (right.high, right.low)
    }
}

extension IPv6Address: CustomStringConvertible, LosslessStringConvertible {
    /// Reads any form of RFC 4291 §2.2, also with an IPv4 tail; `nil` for anything else and for a
    /// zone index.
    public init?(_ text: String) {
        // "::" may stand once, for one group of zeros or more.
        guard let gap = text.firstRange(of: "::") else {
            guard let groups = Self.groups(in: text[...]), groups.count == 8 else { return nil }
            self.init(groups: groups)
            return
        }
        guard let head = Self.groups(in: text[..<gap.lowerBound]),
            let tail = Self.groups(in: text[gap.upperBound...]),
            head.count + tail.count < 8
        else { return nil }
        let zeros = [UInt16](repeating: 0, count: 8 - head.count - tail.count)
        self.init(groups: head + zeros + tail)
    }

    private static func groups(in text: Substring) -> [UInt16]? {
        if text.isEmpty { return [] }
        var parts = text.split(separator: ":", omittingEmptySubsequences: false)
        var tail: [UInt16] = []
        if let last = parts.last, last.contains(".") {
            guard let address = IPv4Address(String(last)) else { return nil }
            tail = [
                UInt16(truncatingIfNeeded: address.value >> 16),
                UInt16(truncatingIfNeeded: address.value),
            ]
            parts.removeLast()
        }
        let groups = parts.compactMap { part in
            (1...4).contains(part.utf8.count) && part.first != "+" ? UInt16(part, radix: 16) : nil
        }
        return groups.count == parts.count ? groups + tail : nil
    }

    /// The canonical text of RFC 5952: lower case, no leading zeros, the longest run of two or
    /// more zero groups as `::`, the first of them when there is a tie.
    public var description: String {
        let groups = groups
        var longest = 0..<0
        var start = 0
        while start < 8 {
            guard groups[start] == 0 else {
                start += 1
                continue
            }
            let end = groups[start...].firstIndex { $0 != 0 } ?? 8
            if end - start > max(longest.count, 1) { longest = start..<end }
            start = end
        }
        func join(_ range: Range<Int>) -> String {
            groups[range].map { String($0, radix: 16) }.joined(separator: ":")
        }
        if longest.isEmpty { return join(0..<8) }
        return join(0..<longest.lowerBound) + "::" + join(longest.upperBound..<8)
    }
}
