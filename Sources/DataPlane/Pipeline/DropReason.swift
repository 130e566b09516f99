// SPDX-License-Identifier: Apache-2.0

/// Why the pipeline discarded a frame.
///
/// A closed set: the value is the index of the counter, ``token`` the label of
/// `xdplb_drops_total` and the word in `trace`, `replay` and `capture`.
public enum DropReason: UInt8, Error, CaseIterable, Sendable, BitwiseCopyable {
    /// A header contradicts the frame: length, version, offset, chain.
    case malformed
    /// The IPv4 header or ICMP checksum is wrong.
    case badChecksum
    /// The source cannot be a client: loopback, multicast, the VIP itself, one of ours.
    case badSource
    /// A source route, or malformed IP options.
    case options
    /// A fragment that cannot be attributed to a flow, or an overlapping one.
    case fragment
    /// The frame was redirected although it is neither IPv4 nor IPv6, or no TCP or UDP.
    case notIP
    /// It is for a VIP, but belongs to no service.
    case noService
    /// No backend is eligible.
    case noBackend
    /// A SNAT reply, or TCP in mid-stream, that matches no connection.
    case noConnection
    /// The client is outside `source_ranges`.
    case policy
    /// Above a bound on new flows or generated packets.
    case rateLimited
    /// No entry is left in the connection table and statelessness is not possible.
    case connectionTableFull
    /// No port is free in the pool for this backend.
    case snatExhausted
    /// TTL or hop limit ran out (`snat`).
    case ttlExpired
    /// Over the MTU after the rewrite.
    case tooBig
    /// The next hop was not resolved in time, or its queue is full.
    case noNeighbour
    /// The TX ring had no room, or the ring to the worker that owns the connection.
    case txFull

    /// Whether the sender may be told.
    @inline(__always)
    var mayBeAnswered: Bool {
        switch self {
        case .tooBig, .ttlExpired, .noBackend: true
        default: false
        }
    }

    /// The reason that has a word; `nil` when none has.
    public init?(token: String) {
        guard let reason = Self.allCases.first(where: { $0.token == token }) else { return nil }
        self = reason
    }

    /// The word for it in metrics and output.
    public var token: String {
        switch self {
        case .malformed: "malformed"
        case .badChecksum: "bad_checksum"
        case .badSource: "bad_source"
        case .options: "options"
        case .fragment: "fragment"
        case .notIP: "not_ip"
        case .noService: "no_service"
        case .noBackend: "no_backend"
        case .noConnection: "no_connection"
        case .policy: "policy"
        case .rateLimited: "rate_limited"
        case .connectionTableFull: "connection_table_full"
        case .snatExhausted: "snat_exhausted"
        case .ttlExpired: "ttl_expired"
        case .tooBig: "too_big"
        case .noNeighbour: "no_neighbour"
        case .txFull: "tx_full"
        }
    }
}
