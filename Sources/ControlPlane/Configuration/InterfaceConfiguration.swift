// SPDX-License-Identifier: Apache-2.0
public import DataPlane

/// A network device and how its queues are bound.
public struct InterfaceConfiguration: Equatable, Sendable {
    /// How the steering program is attached.
    public enum AttachMode: String, Sendable, CaseIterable {
        /// In the driver.
        case native
        /// In the network stack, slower.
        case generic
        /// Native where the driver has it, else generic.
        case auto
    }

    /// How AF_XDP sockets are bound.
    public enum BindMode: String, Sendable, CaseIterable {
        /// Zero-copy, or refuse to start.
        case zerocopy
        /// Copy mode.
        case copy
        /// Zero-copy where the driver has it, else copy mode; `status` says which.
        case auto
    }

    /// Linux's name of it, at most 15 bytes.
    public var name: String
    /// How the steering program is attached.
    public var attachMode = AttachMode.native
    /// How sockets are bound.
    public var bindMode = BindMode.auto
    /// Queues to bind, ascending; `nil` means all the NIC has.
    public var queues: [Int]?
    /// Descriptors of each RX ring, a power of two.
    public var rxRing = 4096
    /// Descriptors of each TX ring, a power of two.
    public var txRing = 4096
    /// Descriptors of each fill ring, a power of two.
    public var fillRing = 8192
    /// Descriptors of each completion ring, a power of two.
    public var completionRing = 4096
    /// Bytes of a UMEM chunk: 2048 or 4096.
    public var chunkSize = 4096
    /// The VLAN that every frame carries; `nil` means that none does.
    public var vlan: UInt16?
    /// Fixed next hops for everything sent, at most one of each family; a family without one
    /// follows the kernel's routes.
    public var fixedNextHops: [IPAddress] = []
    /// Facts that stand in for the interface in the offline commands.
    public var offline: OfflineInterface?

    /// An interface with default settings.
    public init(name: String) { self.name = name }
}

/// What the offline commands take for the interface, as no device is asked.
public struct OfflineInterface: Equatable, Sendable {
    /// Its hardware address.
    public var mac: MACAddress
    /// Its MTU in bytes.
    public var mtu: Int
    /// Its IPv4 address.
    public var ipv4: IPAddress?
    /// Its IPv6 address.
    public var ipv6: IPAddress?
    /// Hardware address of the one next hop.
    public var nextHopMAC: MACAddress

    /// Facts of their parts.
    public init(
        mac: MACAddress, mtu: Int, ipv4: IPAddress?, ipv6: IPAddress?, nextHopMAC: MACAddress
    ) {
        self.mac = mac
        self.mtu = mtu
        self.ipv4 = ipv4
        self.ipv6 = ipv6
        self.nextHopMAC = nextHopMAC
    }
}
