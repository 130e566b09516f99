// SPDX-License-Identifier: Apache-2.0
public import DataPlane

/// Copies of frames from the workers: memory from the moment it is made, copies from its start on.
public protocol CaptureSource: Sendable {
    /// A ring for each worker, in the order of their numbers; valid as long as the source.
    var rings: [CaptureRing] { get }

    /// What is to be added to the times of records, now, for nanoseconds since 1970.
    var clockOffset: UInt64 { get }

    /// Lets the workers copy.
    func start()

    /// Ends it; returns when no worker copies any more.
    func stop() async
}
