// SPDX-License-Identifier: Apache-2.0

/// A network device (RTM_NEWLINK).
public struct LinkMessage: Equatable, Sendable {
    /// The device's number.
    public var index: Int
    /// Its name.
    public var name: String
    /// Whether the administrator set it up (IFF_UP).
    public var isUp: Bool
    /// Whether it can carry frames (IFF_LOWER_UP).
    public var hasCarrier: Bool
    /// Its hardware address; empty when it has none.
    public var mac: [UInt8]
    /// Its MTU in bytes.
    public var mtu: Int
    /// Number of the device that it is made of, as a VLAN's is, or of the other end of a veth;
    /// `nil` when it stands by itself.
    public var parent: Int?
    /// Number that this network namespace has for the one its parent is in; `nil` when that is
    /// this one.
    public var parentNamespace: Int?
    /// The VLAN (802.1Q) that it is for; `nil` when it is no such device.
    public var vlan: UInt16?

    private enum Flag {
        static let up: UInt32 = 0x1
        static let lowerUp: UInt32 = 0x10000
    }

    private enum Attributes {
        static let address: UInt16 = 1
        static let name: UInt16 = 3
        static let mtu: UInt16 = 4
        static let parent: UInt16 = 5
        static let info: UInt16 = 18
        static let parentNamespace: UInt16 = 37
    }

    /// Of ``Attributes/info``, and of its data for a device of the kind `vlan`.
    private enum InfoAttributes {
        static let kind: UInt16 = 1
        static let data: UInt16 = 2
        static let vlanIdentifier: UInt16 = 1
        static let vlanProtocol: UInt16 = 5
    }

    /// The type of 802.1Q tags as it lies in memory, in network order.
    private static let taggedType: [UInt8] = [0x81, 0x00]

    /// struct ifinfomsg.
    private static let fixedByteCount = 16

    /// Reads the part of a message after its header; `nil` when it is too short.
    init?(_ payload: ArraySlice<UInt8>) {
        guard payload.count >= Self.fixedByteCount,
            let index = payload.number(at: 4, as: Int32.self),
            let flags = payload.number(at: 8, as: UInt32.self)
        else { return nil }
        self.index = Int(index)
        isUp = flags & Flag.up != 0
        hasCarrier = flags & Flag.lowerUp != 0
        name = ""
        mac = []
        mtu = 0
        for attribute in Attribute.all(in: payload.dropFirst(Self.fixedByteCount)) {
            switch attribute.type {
            case Attributes.address: mac = Array(attribute.value)
            case Attributes.name: name = attribute.text
            case Attributes.mtu: mtu = Int(attribute.number(as: UInt32.self) ?? 0)
            case Attributes.parent: parent = attribute.number(as: UInt32.self).map(Int.init)
            case Attributes.parentNamespace:
                parentNamespace = attribute.number(as: Int32.self).map(Int.init)
            case Attributes.info: vlan = Self.vlan(in: attribute.value)
            default: break
            }
        }
    }

    private static func vlan(in info: ArraySlice<UInt8>) -> UInt16? {
        let attributes = Attribute.all(in: info)
        guard attributes.first(where: { $0.type == InfoAttributes.kind })?.text == "vlan",
            let data = attributes.first(where: { $0.type == InfoAttributes.data })
        else { return nil }
        let own = Attribute.all(in: data.value)
        let type = own.first { $0.type == InfoAttributes.vlanProtocol }?.value
        guard type.map({ Array($0) == taggedType }) ?? true else { return nil }
        return own.first { $0.type == InfoAttributes.vlanIdentifier }?.number(as: UInt16.self)
    }

    /// A request for all devices.
    static func dump(_ sequence: UInt32) -> MessageWriter {
        MessageWriter(
            type: RouteMessageType.getLink, flags: NetlinkHeader.dump, sequence: sequence,
            fixed: [UInt8](repeating: 0, count: fixedByteCount))
    }
}
