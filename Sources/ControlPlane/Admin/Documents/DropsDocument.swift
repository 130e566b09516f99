// SPDX-License-Identifier: Apache-2.0

/// The document `xdplb.drops/1`.
package struct DropsDocument: Codable, Sendable {
    /// A reason of the pipeline's.
    package struct Reason: Codable, Sendable {
        package var reason: String
        package var perSecond: Double
        package var total: UInt64
        /// When a frame was dropped last; `null` when none was seen to be.
        @Nullable package var last: String?
        /// A recent one, in words; `null` on TCP, where clients' addresses are not shown.
        @Nullable package var example: String?
    }

    /// A way to lose frames in the kernel, before or behind the pipeline.
    package struct Kernel: Codable, Sendable {
        package var loss: String
        package var perSecond: Double
        package var total: UInt64
        /// When a frame was lost last; `null` when none was seen to be.
        @Nullable package var last: String?
        /// What to do when it grows.
        package var remedy: String
    }

    package var schema = "xdplb.drops/1"
    package var generation: UInt64
    package var time: String
    package var drops: [Reason]
    package var kernel: [Kernel]
}
