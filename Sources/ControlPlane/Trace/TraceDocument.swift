// SPDX-License-Identifier: Apache-2.0

/// Where a packet would go, and why: what `xdplb trace` prints.
public struct TraceDocument: Codable, Equatable, Sendable {
    /// Name and version of the document.
    public var schema = "xdplb.trace/1"
    /// Generation of the plan that was asked.
    public var generation: UInt64
    /// The packet.
    public var flow: String
    /// `tx`, `drop`, `pass` or `wait`.
    public var verdict: String
    /// Why it is dropped; empty otherwise.
    public var reason: String
    /// Name of the service, if it is for one.
    public var service: String?
    /// Name of the backend it goes to.
    public var backend: String?
    /// The stages it passes, in order.
    public var steps: [Step]
    /// Frames that would be sent, in hexadecimal digits.
    public var frames: [String]

    /// A stage of the pipeline.
    public struct Step: Codable, Equatable, Sendable {
        /// `steering`, `parse`, `service`, `connection`, `maglev`, `rewrite`, `next hop`.
        public var stage: String
        /// What was looked up, and found.
        public var text: String

        /// A stage of its parts.
        public init(stage: String, text: String) {
            self.stage = stage
            self.text = text
        }
    }
}

/// What became of a traced packet.
public struct TraceOutcome: Sendable {
    /// What the pipeline says.
    public enum Verdict: Sendable, Equatable {
        /// Sent.
        case transmit
        /// Discarded.
        case drop(String)
        /// The kernel's.
        case pass
        /// Kept until its next hop is resolved.
        case wait
    }

    /// What the pipeline says.
    public var verdict: Verdict
    /// Frames that are sent.
    public var frames: [[UInt8]]
    /// Numbers of service and backend, as far as there were any.
    public var service: UInt16?
    /// The backend's.
    public var backend: UInt16?

    /// An outcome of its parts.
    public init(
        verdict: Verdict, frames: [[UInt8]], service: UInt16? = nil, backend: UInt16? = nil
    ) {
        self.verdict = verdict
        self.frames = frames
        self.service = service
        self.backend = backend
    }
}
