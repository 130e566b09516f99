// SPDX-License-Identifier: Apache-2.0
@testable import Netlink

/// Datagrams as the kernel sends them, taken apart.
enum NetlinkTarget {
    static func run(_ input: UnsafeRawBufferPointer) {
        let bytes = unsafe [UInt8](input)
        var covered = 0
        for message in MessageReader(bytes[...]) {
            covered += message.payload.count
            require(covered <= bytes.count, "messages are longer than the datagram")
            let attributes = Attribute.all(in: message.payload)
            require(
                attributes.reduce(0) { $0 + $1.value.count } <= message.payload.count,
                "attributes are longer than their message")
            _ = LinkMessage(message.payload)
            _ = AddressMessage(message.payload)
            _ = RouteMessage(message.payload)
            _ = NeighbourMessage(message.payload)
        }
    }
}
