// SPDX-License-Identifier: Apache-2.0

/// An address of a device (RTM_NEWADDR).
public struct AddressMessage: Equatable, Sendable {
    /// The device's number.
    public var interface: Int
    /// Four bytes or sixteen, in network order.
    public var address: [UInt8]
    /// Bits of its network.
    public var prefixLength: Int
    /// Whether another address of the network is the primary one (IFA_F_SECONDARY).
    public var isSecondary: Bool

    private static let secondary: UInt8 = 0x1

    private enum Attributes {
        static let address: UInt16 = 1
        /// The own address; differs from the former on point-to-point links.
        static let local: UInt16 = 2
    }

    /// struct ifaddrmsg.
    private static let fixedByteCount = 8

    /// Reads the part of a message after its header; `nil` when it has no address.
    init?(_ payload: ArraySlice<UInt8>) {
        guard payload.count >= Self.fixedByteCount,
            let prefixLength = payload.number(at: 1, as: UInt8.self),
            let flags = payload.number(at: 2, as: UInt8.self),
            let interface = payload.number(at: 4, as: UInt32.self)
        else { return nil }
        self.interface = Int(interface)
        self.prefixLength = Int(prefixLength)
        isSecondary = flags & Self.secondary != 0
        let attributes = Attribute.all(in: payload.dropFirst(Self.fixedByteCount))
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
