// SPDX-License-Identifier: Apache-2.0

/// A set of addresses with port and protocol, with open addressing.
struct EndpointSet: ~Copyable {
    struct Slot: BitwiseCopyable {
        var address: IPAddress
        /// Port and protocol plus one bit, so that a used slot is never 0.
        var tail: UInt32
    }

    private static let used: UInt32 = 1 << 24
    private let slots: OwnedTable<Slot>

    init(_ endpoints: Set<ForwardingPlan.SteeringEndpoint>) {
        slots = OwnedTable(
            repeating: Slot(address: FiveTuple.zero.source, tail: 0),
            count: powerOfTwo(atLeast: endpoints.count * 2, floor: 2))
        let table = slots.masked
        for endpoint in endpoints {
            let tail = Self.tail(endpoint.port, endpoint.transport.rawValue)
            var slot = Self.hash(endpoint.address, tail)
            while table[slot].tail != 0 { slot &+= 1 }
            table[slot] = Slot(address: endpoint.address, tail: tail)
        }
    }

    func contains(_ address: IPAddress, port: UInt16, transport: UInt8) -> Bool {
        let table = slots.masked
        let tail = Self.tail(port, transport)
        var slot = Self.hash(address, tail)
        while table[slot].tail != 0 {
            if table[slot].tail == tail && table[slot].address == address { return true }
            slot &+= 1
        }
        return false
    }

    private static func tail(_ port: UInt16, _ transport: UInt8) -> UInt32 {
        used | UInt32(port) << 8 | UInt32(transport)
    }

    private static func hash(_ address: IPAddress, _ tail: UInt32) -> Int {
        let mixed =
            (address.low ^ (address.high &* 0x9e37_79b9_7f4a_7c15) ^ UInt64(tail) << 32)
            &* 0xd6e8_feb8_6659_fd93
        return Int(truncatingIfNeeded: mixed >> 32)
    }
}
