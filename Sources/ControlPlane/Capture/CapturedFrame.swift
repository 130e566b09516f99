// SPDX-License-Identifier: Apache-2.0

/// A frame of a capture file.
public struct CapturedFrame: Equatable, Sendable {
    /// When it was captured, since 1970.
    public var nanoseconds: UInt64
    /// The captured bytes, from the destination address on.
    public var bytes: [UInt8]
    /// Whether all of the frame was captured.
    public var isWhole: Bool

    /// A frame of its parts.
    public init(nanoseconds: UInt64, bytes: [UInt8], isWhole: Bool) {
        self.nanoseconds = nanoseconds
        self.bytes = bytes
        self.isWhole = isWhole
    }
}

/// What reader and writer agree on.
enum CaptureFormat {
    /// `LINKTYPE_ETHERNET`.
    static let ethernet: UInt32 = 1
    /// Most bytes of a frame, as in libpcap; also bounds what one record can make us hold.
    static let longestFrame = 262_144
}
