// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// What a device's driver can do for XDP, as the kernel's family `netdev` tells it (Linux 6.3).
///
/// See Documentation/netlink/specs/netdev.yaml, `xdp-act`.
public struct XDPFeatures: OptionSet, Hashable, Sendable {
    /// The kernel's bits.
    public let rawValue: UInt64

    /// Features of the kernel's bits.
    public init(rawValue: UInt64) { self.rawValue = rawValue }

    /// Programs run in the driver, and may pass, drop and send back.
    public static let native = XDPFeatures(rawValue: 1)
    /// They may redirect, also to sockets.
    public static let redirect = XDPFeatures(rawValue: 2)
    /// AF_XDP sockets may be bound without copying; a bind may be refused all the same.
    public static let zeroCopy = XDPFeatures(rawValue: 8)

    private enum Control {
        static let family: UInt16 = 0x10
        static let getFamily: UInt8 = 3
        static let familyIdentifier: UInt16 = 1
        static let familyName: UInt16 = 2
    }

    private enum Device {
        static let get: UInt8 = 1
        static let interface: UInt16 = 1
        static let xdpFeatures: UInt16 = 3
    }

    /// struct genlmsghdr.
    private static let fixedByteCount = 4

    private static func message(
        _ family: UInt16, _ command: UInt8, _ sequence: UInt32
    ) -> MessageWriter {
        MessageWriter(type: family, flags: 0, sequence: sequence, fixed: [command, 1, 0, 0])
    }

    fileprivate static func family(_ sequence: UInt32) -> MessageWriter {
        var message = message(Control.family, Control.getFamily, sequence)
        message.add(Control.familyName, Array("netdev".utf8) + [0])
        return message
    }

    fileprivate static func familyIdentifier(in payload: ArraySlice<UInt8>) -> UInt16? {
        Attribute.all(in: payload.dropFirst(fixedByteCount))
            .first { $0.type == Control.familyIdentifier }?.number()
    }

    fileprivate static func device(
        _ interface: Int, _ family: UInt16, _ sequence: UInt32
    ) -> MessageWriter {
        var message = message(family, Device.get, sequence)
        var value: [UInt8] = []
        MessageWriter.append(UInt32(interface), to: &value)
        message.add(Device.interface, value)
        return message
    }

    /// The features in an answer; `nil` when it has none.
    init?(_ payload: ArraySlice<UInt8>) {
        let bits = Attribute.all(in: payload.dropFirst(Self.fixedByteCount))
            .first { $0.type == Device.xdpFeatures }?.number(as: UInt64.self)
        guard let bits else { return nil }
        self.init(rawValue: bits)
    }
}

extension NetlinkSocket {
    /// The XDP features of a device; `nil` when the kernel has no such query, as before 6.3.
    ///
    /// Needs a socket for `genericRequests`.
    public mutating func xdpFeatures(ofInterface index: Int) throws(NetlinkError) -> XDPFeatures? {
        let family: UInt16?
        do throws(NetlinkError) {
            let answer = try request("cannot find the family netdev") { XDPFeatures.family($0) }
            family = answer.first.flatMap { XDPFeatures.familyIdentifier(in: $0.payload) }
        } catch {
            guard error.kind == .refused(ENOENT) else { throw error }
            family = nil
        }
        guard let family else { return nil }
        let answer = try request("cannot ask for the XDP features of a device") {
            XDPFeatures.device(index, family, $0)
        }
        return answer.first.flatMap { XDPFeatures($0.payload) }
    }
}
