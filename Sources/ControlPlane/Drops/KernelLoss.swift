// SPDX-License-Identifier: Apache-2.0
package import DataPlane

/// How frames are lost in the kernel, before the pipeline sees them or after it has sent them.
package enum KernelLoss: String, CaseIterable, Sendable {
    /// The RX ring was full: the worker is too slow, or was away for too long.
    case rxRingFull = "rx_ring_full"
    /// The kernel had no chunk to receive into, or the frame did not fit into one.
    case rxDropped = "rx_dropped"
    /// The fill ring was empty when a frame came.
    case fillRingEmpty = "fill_ring_empty"
    /// A descriptor of the fill ring was invalid.
    case rxInvalid = "rx_invalid"
    /// A descriptor of the TX ring was invalid.
    case txInvalid = "tx_invalid"

    /// How many there were, over all sockets.
    func count(in counters: KernelCounters) -> UInt64 {
        counters.sockets.reduce(0) { sum, socket in
            switch self {
            case .rxRingFull: sum + socket.rxRingFull
            case .rxDropped: sum + socket.rxDropped
            case .fillRingEmpty: sum + socket.fillRingEmpty
            case .rxInvalid: sum + socket.rxInvalid
            case .txInvalid: sum + socket.txInvalid
            }
        }
    }

    /// What to do when it grows, in a line.
    package var remedy: String {
        switch self {
        case .rxRingFull: "larger rx_ring, or more queues and cores"
        case .rxDropped: "larger fill_ring and chunks_per_queue; an MTU that fits the chunks"
        case .fillRingEmpty: "larger fill_ring, or more queues and cores"
        case .rxInvalid, .txInvalid: "a defect: report it with 'xdplb status -o json'"
        }
    }

    /// All that an operator needs to know about it.
    package var chapter: DropChapter {
        switch self {
        case .rxRingFull:
            DropChapter(
                meaning: """
                    The kernel had a frame for the worker, but the RX ring of the queue was full: \
                    the worker takes frames out too slowly.
                    """,
                causes: [
                    "more packets per second than the core of this queue carries",
                    "other work on the worker's core, or a virtual machine that is not run for a while",
                    "one queue gets most of the traffic, as the NIC hashes on addresses only",
                ],
                look: "busy share of each worker: one near 100 % is the bottleneck.",
                commands: ["xdplb status", "ethtool -n IFACE rx-flow-hash udp4"])
        case .rxDropped:
            DropChapter(
                meaning: """
                    The kernel dropped a frame for another reason than a full RX ring: there was no \
                    free chunk, or the frame was longer than a chunk.
                    """,
                causes: [
                    "the fill ring was empty: see fill_ring_empty",
                    "frames longer than chunk_size less its headroom, by a larger MTU or by LRO",
                ],
                look: "whether fill_ring_empty grows as well; if not, the length of frames.",
                commands: ["xdplb drops", "ip link show IFACE", "ethtool -k IFACE"])
        case .fillRingEmpty:
            DropChapter(
                meaning:
                    "A frame came, and the worker had left the kernel no chunk to put it into.",
                causes: [
                    "the worker was away for longer than the fill ring lasts",
                    "chunks wait on the TX side: the NIC sends more slowly than it receives",
                ],
                look: "who has the chunks: 'chunks' of each worker in the JSON of status.",
                commands: ["xdplb status -o json"])
        case .rxInvalid, .txInvalid:
            DropChapter(
                meaning: """
                    The kernel refused a descriptor that xdplb put on a ring. This must not happen.
                    """,
                causes: ["a defect of xdplb, or of the driver"],
                look: "versions of xdplb, kernel and driver; report it with the status.",
                commands: ["xdplb version", "xdplb status -o json", "ethtool -i IFACE"])
        }
    }
}
