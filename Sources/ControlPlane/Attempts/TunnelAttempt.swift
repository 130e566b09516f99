// SPDX-License-Identifier: Apache-2.0
internal import CPlatform
public import DataPlane
internal import Glibc

/// A TCP connection to a VIP, attempted inside the tunnel to one backend.
///
/// The SYN takes the way of a client's in `dsr`, so its answer proves the path, the decapsulation,
/// the VIP on the backend, the listener and the way back. It comes to an address of this host,
/// where a packet socket hears it before firewall and reverse-path filter do; the kernel may
/// answer it with a reset of its own, which does no harm. The half-open connection is reset through
/// the tunnel at once. Needs CAP_NET_RAW.
public enum TunnelAttempt {
    /// How long after a SYN the next one is sent, as TCP does (RFC 6298 §2).
    private static let resendInterval = Duration.seconds(1)

    /// Attempts the connection; blocks the calling thread until it is known what came of it.
    ///
    /// - Parameters:
    ///   - vip: The VIP.
    ///   - port: The service's port.
    ///   - backend: Where the tunnel ends, of either family.
    ///   - source: An address of this host of the VIP's family, to which the answer comes.
    ///   - outerSource: What the tunnel comes from, of the backend's family: any address; `nil`
    ///     leaves it to the kernel.
    ///   - packetByteCount: Bytes of the inner packet, which are filled up with data in the SYN, to
    ///     see whether one of that size gets through; `nil` sends no data.
    ///   - timeout: How long to wait for the answer.
    /// - Returns: What came of it. ENOPROTOOPT and EPROTO mean that the backend does not
    ///   decapsulate, EMSGSIZE that the packet is too large for a link.
    public static func connect(
        vip: IPAddress, port: UInt16, via backend: IPAddress, source: IPAddress,
        outerSource: IPAddress? = nil, packetByteCount: Int? = nil, timeout: Duration
    ) -> AttemptOutcome {
        guard vip.family == source.family, outerSource.map({ $0.family == backend.family }) ?? true
        else { return .error(EAFNOSUPPORT) }
        do throws(AttemptErrno) {
            let own = source.bytes
            let count = Int32(own.count)
            var sourcePort: UInt16 = 0
            let reserved = try AttemptSocket(unsafe cplatform_probe_port(own, count, &sourcePort))
            let listener = try AttemptSocket(
                unsafe cplatform_probe_listener(vip.bytes, count, sourcePort))
            let tunnel = try tunnel(to: backend, from: outerSource, innerByteCount: count)
            let syn = AttemptSegment(
                source: source, sourcePort: sourcePort, destination: vip, destinationPort: port,
                sequence: .random(in: 0...UInt32.max), flags: .syn,
                dataByteCount: max(
                    0, (packetByteCount ?? 0) - AttemptSegment.overhead(vip.family)))
            let outcome = try attempt(syn, tunnel, listener, AttemptDeadline(after: timeout))
            if outcome.isAnswer { try? reset(syn, tunnel) }
            // Until here no other connection may have the port.
            _ = reserved.descriptor
            return outcome
        } catch {
            return .error(error.value)
        }
    }

    private static func tunnel(
        to backend: IPAddress, from source: IPAddress?, innerByteCount: Int32
    ) throws(AttemptErrno) -> AttemptSocket {
        let end = backend.bytes
        let count = Int32(end.count)
        guard let own = source?.bytes else {
            return try AttemptSocket(unsafe cplatform_probe_tunnel(innerByteCount, end, count, nil))
        }
        return try AttemptSocket(unsafe cplatform_probe_tunnel(innerByteCount, end, count, own))
    }

    private static func attempt(
        _ syn: AttemptSegment, _ tunnel: borrowing AttemptSocket,
        _ listener: borrowing AttemptSocket,
        _ deadline: AttemptDeadline
    ) throws(AttemptErrno) -> AttemptOutcome {
        var sent = ContinuousClock.now
        try send(syn, tunnel)
        while !deadline.isOver {
            if sent + resendInterval <= .now {
                sent = .now
                try send(syn, tunnel)
            }
            // The tunnel's socket is waited for as well: for errors, which need no asking.
            var waiting = [
                pollfd(fd: listener.descriptor, events: Int16(POLLIN), revents: 0),
                pollfd(fd: tunnel.descriptor, events: 0, revents: 0),
            ]
            _ = unsafe poll(&waiting, 2, deadline.milliseconds(or: sent + resendInterval))
            while let reply = receive(listener) {
                let outcome = reply.flatMap {
                    $0.outcome(
                        toSYN: syn.sequence, dataByteCount: syn.dataByteCount, after: .now - sent)
                }
                if let outcome { return outcome }
            }
            if waiting[1].revents != 0 {
                let error = tunnel.pendingError
                if error != 0 { return .error(error) }
            }
        }
        return .timeout
    }

    private static func send(
        _ segment: AttemptSegment, _ tunnel: borrowing AttemptSocket
    ) throws(AttemptErrno) {
        let packet = segment.packet
        guard unsafe Glibc.send(tunnel.descriptor, packet, packet.count, 0) == packet.count else {
            throw AttemptErrno(value: errno)
        }
    }

    /// Ends the connection that the backend now takes for half open.
    private static func reset(
        _ syn: AttemptSegment, _ tunnel: borrowing AttemptSocket
    ) throws(AttemptErrno) {
        var reset = syn
        reset.flags = .rst
        reset.sequence &+= 1
        reset.dataByteCount = 0
        try send(reset, tunnel)
    }

    /// A packet that the listener heard: `nil` when there is none, a `nil` inside when it has no
    /// TCP header.
    private static func receive(_ listener: borrowing AttemptSocket) -> AttemptReply?? {
        var buffer = [UInt8](repeating: 0, count: 128)
        let count = unsafe recv(listener.descriptor, &buffer, buffer.count, 0)
        return count >= 0 ? .some(AttemptReply(buffer.prefix(count))) : nil
    }
}
