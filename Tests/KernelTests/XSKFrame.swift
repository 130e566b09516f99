// SPDX-License-Identifier: Apache-2.0
import TestSupport

/// A frame for the tests of sockets and of the steering program, with only what they look at:
/// checksums are zero.
struct XSKFrame {
    var source: [UInt8] = [20, 1, 1, 100]
    var destination: [UInt8] = [40, 1, 1, 1]
    var sourcePort: UInt16 = 50_000
    var destinationPort: UInt16 = 80
    var transport: UInt8 = 17
    var etherType: UInt16 = 0x0800
    var version: UInt8 = 4
    /// 32-bit words of IP options.
    var optionWords = 0
    /// Overrides the header length that goes with the options.
    var headerWords: UInt8?
    /// Flags and offset, as on the wire.
    var fragment: UInt16 = 0x4000
    var payload = [UInt8](repeating: 0xab, count: 18)
    /// Bytes to cut it to; `nil` keeps it whole.
    var cut: Int?

    /// The frame from the Ethernet header on.
    var bytes: [UInt8] {
        let headerWords = headerWords ?? UInt8(5 + optionWords)
        let total = 20 + optionWords * 4 + 8 + payload.count
        var frame = VethPair.nearMAC + VethPair.farMAC + Self.word(etherType)
        frame += [version << 4 | headerWords, 0] + Self.word(UInt16(total)) + [0, 1]
        frame += Self.word(fragment) + [64, transport, 0, 0] + source + destination
        frame += [UInt8](repeating: 1, count: optionWords * 4)
        frame += Self.word(sourcePort) + Self.word(destinationPort)
        frame += Self.word(UInt16(8 + payload.count)) + [0, 0] + payload
        return Array(frame.prefix(cut ?? frame.count))
    }

    private static func word(_ value: UInt16) -> [UInt8] {
        [UInt8(value >> 8), UInt8(truncatingIfNeeded: value)]
    }

    /// An IPv4 address in the form of the steering program's maps.
    static func mapped(_ address: [UInt8]) -> [UInt8] {
        [UInt8](repeating: 0, count: 10) + [0xff, 0xff] + address
    }
}
