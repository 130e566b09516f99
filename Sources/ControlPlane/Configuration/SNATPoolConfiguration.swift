// SPDX-License-Identifier: Apache-2.0
public import DataPlane

/// A named set of source addresses and ports for `snat`.
public struct SNATPoolConfiguration: Equatable, Sendable {
    /// Name that services use.
    public var name: String
    /// Addresses, in the order of the file, no two equal.
    public var addresses: [IPAddress]
    /// Ports of every address, divided among the workers.
    public var ports: ClosedRange<UInt16> = 1024...65535
    /// Rest of a port between two connections.
    public var reuseAfter = Duration.seconds(30)

    /// A pool of its parts.
    public init(
        name: String, addresses: [IPAddress], ports: ClosedRange<UInt16> = 1024...65535,
        reuseAfter: Duration = .seconds(30)
    ) {
        self.name = name
        self.addresses = addresses
        self.ports = ports
        self.reuseAfter = reuseAfter
    }
}
