// SPDX-License-Identifier: Apache-2.0

/// What becomes of a frame.
public enum Verdict: Equatable, Sendable, BitwiseCopyable {
    /// Not known yet; no frame leaves the pipeline with it.
    case undecided
    /// It is sent.
    case transmit
    /// It is discarded and counted.
    case drop(DropReason)
    /// It goes to the worker that owns its SNAT port.
    case handOff(worker: UInt8)
    /// It is kept until its next hop is resolved.
    case wait
}
