// SPDX-License-Identifier: Apache-2.0

/// What `xdplb capture` asks for; a member that is left out narrows nothing down.
package struct CaptureRequest: Codable, Equatable, Sendable {
    /// Name of a service, or VIP:PORT/PROTOCOL.
    package var service: String?
    /// SERVICE/NAME or SERVICE/ADDRESS, or a name or address within ``service``.
    package var backend: String?
    /// IP address of a client.
    package var client: String?
    /// Token of a drop reason.
    package var reason: String?
    /// Only TCP segments with SYN.
    package var syn: Bool?
    /// One in so many frames.
    package var sample: Int?
    /// `rx`, `tx` and `drop`.
    package var points: [String]?
    /// A classic BPF program as `tcpdump -ddd` prints it, for the frame as it was received.
    package var bpf: String?
    /// Frames after which the capture ends.
    package var count: Int?
    /// Most bytes of each copy.
    package var snapLength: Int?
    /// Seconds after which the capture ends.
    package var seconds: Double?

    /// Seconds of a capture unless told otherwise: one that was forgotten ends.
    package static let usualSeconds = 60.0
    /// Most seconds: a day.
    package static let mostSeconds = 86_400.0
    /// Most bytes of a copy: no chunk holds a longer frame.
    package static let longestCopy = 65_536

    /// A request for everything.
    package init() {}

    /// The request in a few words, for the log and for who else wants to capture.
    var summary: String {
        let parts = [
            service.map { "service \($0)" }, backend.map { "backend \($0)" },
            client.map { "client \($0)" }, reason.map { "reason \($0)" },
            syn == true ? "SYN only" : nil, sample.map { "1/\($0)" },
            points.map { "points \($0.joined(separator: ","))" }, bpf.map { _ in "bpf" },
        ].compactMap { $0 }
        return parts.isEmpty ? "everything" : parts.joined(separator: ", ")
    }
}

extension CaptureRequest: ChangeBody {
    package static let members: Set<String> = [
        "service", "backend", "client", "reason", "syn", "sample", "points", "bpf", "count",
        "snap_length", "seconds",
    ]
}

/// When a capture ends by itself, and what the control side looks at.
struct CaptureBounds: Sendable {
    var count: Int?
    var seconds: Double
    var program: PacketFilterProgram?
}
