// SPDX-License-Identifier: Apache-2.0
internal import DataPlane

/// An echo request that is told from others by its identifier and number.
struct Echo: Equatable {
    var identifier: UInt16
    var number: UInt16
    /// Bytes of data behind the header.
    var dataCount = 32

    /// The message, its checksum right in IPv4 and 0 in IPv6, which covers addresses, too.
    func request(_ family: AddressFamily) -> [UInt8] {
        var message = WireBytes()
        message.put(UInt16(family == .ipv4 ? 8 << 8 : 128 << 8))
        message.put(UInt16(0))
        message.put(identifier)
        message.put(number)
        message.bytes += [UInt8](repeating: 0x78, count: dataCount)
        if family == .ipv4 { message.set(WireBytes.checksum(message.bytes), at: 2) }
        return message.bytes
    }

    /// Whether a message is the reply, with all of the data.
    func isAnswered(by message: [UInt8], _ family: AddressFamily) -> Bool {
        message.count == 8 + dataCount && message[0] == (family == .ipv4 ? 0 : 129)
            && WireBytes.number(message[...], at: 4, as: UInt16.self) == identifier
            && WireBytes.number(message[...], at: 6, as: UInt16.self) == number
    }
}
