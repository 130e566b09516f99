// SPDX-License-Identifier: Apache-2.0

/// An address of a device (RTM_NEWADDR).
public struct AddressMessage: Equatable, Sendable {
    /// The device's number.
    public var interface: Int
    /// Four bytes or sixteen, in network order.
    public var address: [UInt8]
    /// Bits of its network.
    public var prefixLength: Int
    /// Whether another address of the network is the primary one (IFA_F_SECONDARY), or it is a
    /// temporary one (RFC 8981), which has the same flag.
    public var isSecondary: Bool
    /// Whether new connections should rather have another one (RFC 4862 §5.5.4).
    public var isDeprecated: Bool
    /// Whether it may be used: not while, and not after, another host was found to have it
    /// (RFC 4862 §5.4).
    public var isUsable: Bool

    /// IFA_F_*, <linux/if_addr.h>.
    private enum Flag {
        static let secondary: UInt32 = 0x01
        static let optimistic: UInt32 = 0x04
        static let duplicate: UInt32 = 0x08
        static let deprecated: UInt32 = 0x20
        static let tentative: UInt32 = 0x40
    }

    private enum Attributes {
        static let address: UInt16 = 1
        /// The own address; differs from the former on point-to-point links.
        static let local: UInt16 = 2
        /// All flags; the header has room for the first eight.
        static let flags: UInt16 = 8
    }

    /// struct ifaddrmsg.
    private static let fixedByteCount = 8

    /// Reads the part of a message after its header; `nil` when it has no address.
    init?(_ payload: ArraySlice<UInt8>) {
        guard payload.count >= Self.fixedByteCount,
            let prefixLength = payload.number(at: 1, as: UInt8.self),
            let firstFlags = payload.number(at: 2, as: UInt8.self),
            let interface = payload.number(at: 4, as: UInt32.self)
        else { return nil }
        self.interface = Int(interface)
        self.prefixLength = Int(prefixLength)
        let attributes = Attribute.all(in: payload.dropFirst(Self.fixedByteCount))
        let flags =
            attributes.first { $0.type == Attributes.flags }?.number(as: UInt32.self)
            ?? UInt32(firstFlags)
        isSecondary = flags & Flag.secondary != 0
        isDeprecated = flags & Flag.deprecated != 0
        let isBeingChecked = flags & Flag.tentative != 0 && flags & Flag.optimistic == 0
        isUsable = !isBeingChecked && flags & Flag.duplicate == 0
        let own =
            attributes.first { $0.type == Attributes.local }
            ?? attributes.first { $0.type == Attributes.address }
        guard let own, own.value.count == 4 || own.value.count == 16 else { return nil }
        address = Array(own.value)
    }

    /// A request for all addresses.
    static func dump(_ sequence: UInt32) -> MessageWriter {
        MessageWriter(
            type: RouteMessageType.getAddress, flags: NetlinkHeader.dump, sequence: sequence,
            fixed: [UInt8](repeating: 0, count: fixedByteCount))
    }
}
