// SPDX-License-Identifier: Apache-2.0

/// Prefix → number, by the longest that contains an address.
///
/// Probed from the longest prefix length that occurs to the shortest, one hash probe each: few
/// lengths occur in practice. A scope keeps several tables in one.
struct PrefixTable: ~Copyable {
    struct Entry {
        var prefix: IPPrefix
        var scope: UInt16 = 0
        var value: UInt32
    }

    struct Slot: BitwiseCopyable {
        static let empty: UInt8 = 255
        var network: IPAddress
        var value: UInt32
        var scope: UInt16
        /// Of the mapped form, 0–128; `empty` marks a free slot.
        var length: UInt8
    }

    private let slots: OwnedTable<Slot>
    /// Prefix lengths that occur, longest first.
    private let lengths: OwnedTable<UInt8>

    /// A table of entries; of two with one prefix and scope, the first counts.
    init(_ entries: [Entry]) {
        slots = OwnedTable(
            repeating: Slot(
                network: FiveTuple.zero.source, value: 0, scope: 0, length: Slot.empty),
            count: powerOfTwo(atLeast: entries.count * 2, floor: 2))
        let table = slots.masked
        for entry in entries {
            let length = UInt8(entry.prefix.mappedLength)
            let network = entry.prefix.network
            var slot = Self.hash(network, length, entry.scope)
            while table[slot].length != Slot.empty { slot &+= 1 }
            table[slot] = Slot(
                network: network, value: entry.value, scope: entry.scope, length: length)
        }
        let present = Set(entries.map { UInt8($0.prefix.mappedLength) })
        lengths = OwnedTable(present.sorted(by: >), or: 0)
    }

    var isEmpty: Bool { lengths.table.count == 0 }

    /// The value of the longest prefix of a scope that contains `address`; `nil` when none does.
    func find(_ address: IPAddress, scope: UInt16 = 0) -> UInt32? {
        let table = slots.masked
        for index in 0..<lengths.table.count {
            let length = lengths.table[index]
            // Shorter prefixes are of IPv6, and those hold no mapped address, not even ::/0.
            if length < 96 && address.isIPv4 { return nil }
            let network = address.masked(to: Int(length))
            var slot = Self.hash(network, length, scope)
            while table[slot].length != Slot.empty {
                let found = table[slot]
                if found.length == length && found.scope == scope && found.network == network {
                    return found.value
                }
                slot &+= 1
            }
        }
        return nil
    }

    private static func hash(_ address: IPAddress, _ length: UInt8, _ scope: UInt16) -> Int {
        let tail = UInt64(length) << 56 | UInt64(scope) << 32
        let mixed =
            (address.low ^ (address.high &* 0x9e37_79b9_7f4a_7c15) ^ tail)
            &* 0xd6e8_feb8_6659_fd93
        return Int(truncatingIfNeeded: mixed >> 32)
    }
}

extension IPAddress {
    /// The address with all but the first `length` bits of its 128 cleared.
    func masked(to length: Int) -> IPAddress {
        func mask(_ bits: Int) -> UInt64 {
            bits <= 0 ? 0 : bits >= 64 ? .max : UInt64.max << (64 - UInt64(bits))
        }
        return IPAddress(high: high & mask(length), low: low & mask(length - 64))
    }
}
