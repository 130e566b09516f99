// SPDX-License-Identifier: Apache-2.0
public import DataPlane

/// What of this host a configuration is checked against.
public struct HostFacts: Equatable, Sendable {
    /// Addresses of all interfaces.
    public var addresses: [IPAddress]
    /// MTU of the interface; `nil` when there is no such interface.
    public var mtu: Int?
    /// RX queues of the interface.
    public var queueCount: Int
    /// Ports the kernel hands out by itself.
    public var localPorts: ClosedRange<UInt16>
    /// CPUs that are online and allowed.
    public var cpus: [Int]
    /// CPUs of the interface's NUMA node; `nil` when it is bound to none, or that is not known.
    public var nodeCPUs: [Int]?
    /// Whether there is a device for the VLAN that frames are to carry; also when they carry none.
    public var hasVLANDevice: Bool
    /// Whether others than the owner may read the hash key file; `nil` when there is no such file.
    public var othersReadKey: Bool?

    /// Facts of their parts.
    public init(
        addresses: [IPAddress], mtu: Int?, queueCount: Int, localPorts: ClosedRange<UInt16>,
        cpus: [Int], nodeCPUs: [Int]? = nil, hasVLANDevice: Bool = true, othersReadKey: Bool?
    ) {
        self.addresses = addresses
        self.mtu = mtu
        self.queueCount = queueCount
        self.localPorts = localPorts
        self.cpus = cpus
        self.nodeCPUs = nodeCPUs
        self.hasVLANDevice = hasVLANDevice
        self.othersReadKey = othersReadKey
    }
}
