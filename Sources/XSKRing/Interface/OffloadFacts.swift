// SPDX-License-Identifier: Apache-2.0
internal import CPlatform
internal import Glibc

/// Features of a device that are on, in the kernel's words: `rx-lro`, `tx-tcp-segmentation`.
public struct OffloadFacts: Equatable, Sendable {
    /// The device's name where it is.
    public let interface: String
    /// What is on.
    public let active: Set<String>

    private static let nameByteCount = 16
    private static let namesByteCount = 4096

    /// Features of a device.
    public init(interface: String, active: Set<String>) {
        self.interface = interface
        self.active = active
    }

    /// Reads those of a device of this network namespace; `nil` when its driver does not tell.
    public init?(interface: String) {
        var names = [CChar](repeating: 0, count: Self.namesByteCount)
        guard unsafe cplatform_features(interface, &names, Int32(names.count)) == 0 else {
            return nil
        }
        self.init(interface: interface, active: Self.set(names))
    }

    /// Reads those of a device of another network namespace.
    ///
    /// `nil` when the device is not there, or the namespace may not be entered.
    ///
    /// - Parameters:
    ///   - index: The device's number there.
    ///   - namespace: A file such as /run/netns/NAME.
    public init?(index: Int, namespace: String) {
        var interface = [CChar](repeating: 0, count: Self.nameByteCount)
        var names = [CChar](repeating: 0, count: Self.namesByteCount)
        let answer = unsafe cplatform_features_elsewhere(
            namespace, Int32(index), &interface, &names, Int32(names.count))
        guard answer == 0 else { return nil }
        self.init(interface: Self.text(interface), active: Self.set(names))
    }

    private static func set(_ names: [CChar]) -> Set<String> {
        Set(text(names).split(separator: "\n").map(String.init))
    }

    private static func text(_ characters: [CChar]) -> String {
        let bytes = characters.map { UInt8(bitPattern: $0) }.prefix { $0 != 0 }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// How a device spreads UDP packets over its queues.
public struct HashFacts: Equatable, Sendable {
    /// Whether ports count, for IPv4; `nil` when the driver does not tell.
    public let ipv4Ports: Bool?
    /// Whether ports count, for IPv6; `nil` when the driver does not tell.
    public let ipv6Ports: Bool?
    /// Whether the key can be read.
    public let hasKey: Bool

    /// RXH_L4_B_0_1 and RXH_L4_B_2_3 of <linux/ethtool.h>.
    private static let ports: UInt64 = 0xc0

    /// Facts of their parts.
    public init(ipv4Ports: Bool?, ipv6Ports: Bool?, hasKey: Bool) {
        self.ipv4Ports = ipv4Ports
        self.ipv6Ports = ipv6Ports
        self.hasKey = hasKey
    }

    /// Reads them.
    public init(interface: String) {
        var keyByteCount: UInt32 = 0
        let answer = unsafe cplatform_hash_key(interface, &keyByteCount)
        self.init(
            ipv4Ports: Self.ports(interface, isIPv6: 0),
            ipv6Ports: Self.ports(interface, isIPv6: 1),
            hasKey: answer == 0 && keyByteCount > 0)
    }

    private static func ports(_ interface: String, isIPv6: Int32) -> Bool? {
        var parts: UInt64 = 0
        guard unsafe cplatform_udp_hash(interface, isIPv6, &parts) == 0 else { return nil }
        return parts & ports == ports
    }
}
