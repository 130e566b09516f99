// SPDX-License-Identifier: Apache-2.0

extension DropReason {
    /// What it says about a packet, in a few words.
    public var meaning: String {
        switch self {
        case .malformed: "a header contradicts the frame: length, version, offset, chain"
        case .badChecksum: "IPv4 header or ICMP checksum wrong"
        case .badSource:
            "source cannot be a client: loopback, multicast, the VIP itself, one of ours"
        case .options: "source route or malformed IP options"
        case .fragment: "fragment that cannot be attributed to a flow, or overlapping"
        case .notIP: "frame redirected although it is neither IPv4 nor IPv6, or no TCP or UDP"
        case .noService: "for a VIP, but belonging to no service"
        case .noBackend: "no eligible backend"
        case .noConnection: "SNAT reply, or TCP in mid-stream, that matches no connection"
        case .policy: "client outside the source ranges of the service"
        case .rateLimited: "above a bound on new flows or generated packets"
        case .connectionTableFull: "no entry left and statelessness not possible"
        case .snatExhausted: "no free port in the pool for this backend"
        case .ttlExpired: "TTL or hop limit ran out"
        case .tooBig: "over the MTU after the rewrite; an ICMP error was sent if one may be"
        case .noNeighbour: "next hop not resolved in time or its queue full"
        case .txFull: "the TX ring had no room"
        }
    }
}
