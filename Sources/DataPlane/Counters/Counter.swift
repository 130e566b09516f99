// SPDX-License-Identifier: Apache-2.0

/// What a worker counts besides drops, services and backends; the value is the place in the page.
public enum Counter: Int, CaseIterable, Sendable {
    /// Frames taken from the RX ring.
    case receivedPackets
    /// Their bytes.
    case receivedBytes
    /// Frames put on the TX ring.
    case transmittedPackets
    /// Their bytes.
    case transmittedBytes
    /// Look-ups that found an entry.
    case lookupHits
    /// Look-ups that found none.
    case lookupMisses
    /// Entries made.
    case insertions
    /// Flows for which there was no entry.
    case insertionsFull
    /// Entries that ended by their idle timeout.
    case evictionsIdle
    /// Entries of closed connections that ended.
    case evictionsClosed
    /// Entries that ended to make room.
    case evictionsPressure
    /// Entries ended by a command, or with their backend or service.
    case evictionsFlush
    /// Frames given to the worker that owns their SNAT port.
    case handedOff
    /// Frames lost because that worker's ring was full.
    case handOffFull
    /// Echo requests that were answered.
    case echoReplies
    /// ICMP errors and RSTs that the load balancer sent; what caused them counts as dropped.
    case refusals
    /// ICMP errors about tunnelled packets that their senders were told.
    case tunnelErrors
    /// ICMP packet-too-big messages that were sent, in IPv4.
    case tooBigSentIPv4
    /// And in IPv6.
    case tooBigSentIPv6
    /// ICMP errors delivered to the backend or client that they concern, in IPv4.
    case errorsForwardedIPv4
    /// And in IPv6.
    case errorsForwardedIPv6
    /// Frames kept until their next hop was resolved.
    case waiting
    /// Of these, the ones sent.
    case waitingSent
    /// Of these, the ones dropped.
    case waitingDropped
    /// Batches with frames in them.
    case batches
    /// Of these, those of 1 frame.
    case batchesUpTo1
    /// Of these, those of 2–8.
    case batchesUpTo8
    /// Of these, those of 9–16.
    case batchesUpTo16
    /// Of these, those of 17–32.
    case batchesUpTo32
    /// Of these, those of 33–64.
    case batchesUpTo64
    /// Timed packets that took at most 1 µs from the RX ring to the TX ring.
    case timedUpTo1
    /// At most 2 µs.
    case timedUpTo2
    /// At most 5 µs.
    case timedUpTo5
    /// At most 10 µs.
    case timedUpTo10
    /// At most 50 µs.
    case timedUpTo50
    /// At most 100 µs.
    case timedUpTo100
    /// At most 1 ms.
    case timedUpTo1000
    /// Longer.
    case timedBeyond
    /// Nanoseconds that they took together.
    case timedNanoseconds
    /// Nanoseconds in rounds with frames.
    case busyNanoseconds
    /// Nanoseconds in rounds without.
    case idleNanoseconds
    /// Nanoseconds asleep in the kernel.
    case blockedNanoseconds
    /// System calls that woke the kernel to transmit.
    case transmitWakeups
    /// System calls that woke the kernel to fill.
    case fillWakeups
    /// Rounds of the loop, so that a stuck worker shows.
    case rounds
    /// Chunks the kernel has to receive into.
    case chunksFill
    /// Chunks the worker has in its hands.
    case chunksReceived
    /// Chunks on their way out.
    case chunksTransmitting
    /// Chunks of sent frames that the kernel gave back and nobody has taken yet.
    case chunksCompleted
    /// Chunks nobody has.
    case chunksFree
    /// Entries of the connection table in use.
    case connections
    /// Generation the worker acknowledged.
    case generation
}

/// What is counted for each service.
public enum ServiceCounter: Int, CaseIterable, Sendable {
    /// Packets from clients.
    case packetsIn
    /// Their IP bytes.
    case bytesIn
    /// Packets from backends (`snat`).
    case packetsOut
    /// Their IP bytes.
    case bytesOut
    /// Connections admitted.
    case newConnections
    /// Connections tracked now.
    case connections
}

/// What is counted for each backend.
public enum BackendCounter: Int, CaseIterable, Sendable {
    /// Packets sent to it.
    case packets
    /// Their IP bytes, as the client sent them.
    case bytes
    /// Connections pinned to it now.
    case connections
    /// Connections pinned to it since it exists.
    case newConnections
}
