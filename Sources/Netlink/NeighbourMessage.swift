// SPDX-License-Identifier: Apache-2.0

/// A neighbour (RTM_NEWNEIGH).
public struct NeighbourMessage: Equatable, Sendable {
    /// What the kernel knows of a neighbour (NUD_*, <linux/neighbour.h>).
    public struct State: OptionSet, Equatable, Sendable {
        /// The kernel's bits.
        public let rawValue: UInt16

        /// A state of the kernel's bits.
        public init(rawValue: UInt16) { self.rawValue = rawValue }

        /// Asked, not answered yet.
        public static let incomplete = State(rawValue: 0x01)
        /// Known to be reachable.
        public static let reachable = State(rawValue: 0x02)
        /// Known, not confirmed lately.
        public static let stale = State(rawValue: 0x04)
        /// Known, about to be confirmed.
        public static let delay = State(rawValue: 0x08)
        /// Known, being confirmed.
        public static let probe = State(rawValue: 0x10)
        /// Asked in vain.
        public static let failed = State(rawValue: 0x20)
        /// On a device that needs no resolution.
        public static let noARP = State(rawValue: 0x40)
        /// Set by the administrator.
        public static let permanent = State(rawValue: 0x80)

        /// States in which the hardware address may be used (NUD_VALID).
        public static let valid: State = [
            .reachable, .stale, .delay, .probe, .noARP, .permanent,
        ]
    }

    /// The device's number.
    public var interface: Int
    /// Four bytes or sixteen, in network order.
    public var address: [UInt8]
    /// Its hardware address; empty while it is not known.
    public var mac: [UInt8]
    /// What is known of it.
    public var state: State

    private enum Attributes {
        static let destination: UInt16 = 1
        static let address: UInt16 = 2
    }

    private static let familyIPv4: UInt8 = 2
    private static let familyIPv6: UInt8 = 10
    /// NTF_USE: as if a packet were sent there, so that the kernel resolves the address.
    private static let use: UInt8 = 0x01
    /// struct ndmsg.
    private static let fixedByteCount = 12

    /// Reads the part of a message after its header; `nil` when it has no address.
    init?(_ payload: ArraySlice<UInt8>) {
        guard payload.count >= Self.fixedByteCount,
            let family = payload.number(at: 0, as: UInt8.self),
            family == Self.familyIPv4 || family == Self.familyIPv6,
            let interface = payload.number(at: 4, as: Int32.self),
            let state = payload.number(at: 8, as: UInt16.self)
        else { return nil }
        self.interface = Int(interface)
        self.state = State(rawValue: state)
        address = []
        mac = []
        for attribute in Attribute.all(in: payload.dropFirst(Self.fixedByteCount)) {
            switch attribute.type {
            case Attributes.destination: address = Array(attribute.value)
            case Attributes.address: mac = Array(attribute.value)
            default: break
            }
        }
        guard address.count == (family == Self.familyIPv6 ? 16 : 4) else { return nil }
    }

    /// A request for all neighbours.
    static func dump(_ sequence: UInt32) -> MessageWriter {
        MessageWriter(
            type: RouteMessageType.getNeighbour, flags: NetlinkHeader.dump, sequence: sequence,
            fixed: [UInt8](repeating: 0, count: fixedByteCount))
    }

    /// A request that the kernel resolve an address, as it does for packets of its own.
    static func resolve(
        _ address: [UInt8], interface: Int, _ sequence: UInt32
    ) -> MessageWriter {
        var fixed: [UInt8] = [address.count == 16 ? familyIPv6 : familyIPv4, 0, 0, 0]
        MessageWriter.append(Int32(interface), to: &fixed)
        MessageWriter.append(UInt16(0), to: &fixed)
        fixed += [use, 0]
        var message = MessageWriter(
            type: RouteMessageType.newNeighbour,
            flags: NetlinkHeader.create | NetlinkHeader.replace | NetlinkHeader.acknowledge,
            sequence: sequence, fixed: fixed)
        message.add(Attributes.destination, address)
        return message
    }
}
