// SPDX-License-Identifier: Apache-2.0
public import DataPlane

/// The outer header of `dsr`.
public struct EncapsulationConfiguration: Equatable, Sendable {
    /// What happens to a packet that does not fit.
    public enum TooBig: String, Sendable, CaseIterable {
        /// Its sender gets ICMP with the size that would.
        case reply
        /// It is dropped in silence.
        case drop
    }

    /// Whether the MSS of SYNs is lowered.
    public enum MSSClamp: String, Sendable, CaseIterable {
        /// Never.
        case none
        /// To what fits the tunnel of the chosen backend.
        case auto
    }

    /// Prefix that the outer IPv4 source is hashed over, per flow; `nil` means the interface's
    /// address.
    public var ipv4SourcePrefix: IPPrefix?
    /// The same for the outer IPv6 source.
    public var ipv6SourcePrefix: IPPrefix?
    /// Time to live of the outer header: 1–255.
    public var outerTimeToLive: UInt8 = 64
    /// Fixed DSCP of the outer header, 0–63; `nil` copies the inner one.
    public var dscp: UInt8?
    /// What happens to a packet that does not fit.
    public var tooBig = TooBig.reply
    /// Whether the MSS of SYNs is lowered.
    public var mssClamp = MSSClamp.none

    /// The prefix that the outer source of a family is hashed over.
    public func sourcePrefix(_ family: AddressFamily) -> IPPrefix? {
        family == .ipv4 ? ipv4SourcePrefix : ipv6SourcePrefix
    }
}
