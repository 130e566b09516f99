// SPDX-License-Identifier: Apache-2.0
internal import CPlatform
internal import DataPlane
internal import Glibc

/// The sockets by which packets go into tunnels, and by which answers from VIPs are seen.
///
/// Sending is by raw sockets of the kernel, which writes the outer header and finds the next hop.
/// Answers come without a tunnel, from the VIP to the interface's address; packet sockets see them,
/// before firewall and reverse-path filter do.
final class TunnelSockets {
    /// A raw socket is for one outer protocol, by families.
    private struct Kind: Hashable {
        var outer: AddressFamily
        var inner: AddressFamily
        var source: IPAddress
        var isWhole: Bool
    }

    /// What ICMP said last of packets to a backend.
    private struct Heard {
        /// An `errno` value; 0 for nothing.
        var number: Int32 = 0
        var at = ContinuousClock.now
    }

    /// Errors that are taken at one wake-up.
    private static let mostErrors = 256
    /// Times that a packet is sent while errors of others are in the way.
    private static let mostTries = 3

    private let loop: ProbeLoop
    private var senders: [Kind: ProbeSocket] = [:]
    private var receivers: [AddressFamily: ProbeSocket] = [:]
    private var sources: [AddressFamily: Set<IPAddress>] = [:]
    private var waiting: [TunnelInbox: [TunnelledAttempt]] = [:]
    /// Of every backend that something was sent to.
    private var errors: [IPAddress: Heard] = [:]

    init(_ loop: ProbeLoop) { self.loop = loop }

    // MARK: Sending

    /// Sends a packet into a tunnel.
    ///
    /// - Parameters:
    ///   - packet: The inner packet.
    ///   - tunnel: Where it goes.
    ///   - isWhole: Whether it may not be fragmented on the way, whatever the kernel believes of
    ///     the path.
    /// - Throws: The error of making the socket, or of sending.
    func send(
        _ packet: InnerPacket, into tunnel: Tunnel, isWhole: Bool = false
    ) throws(SocketError) {
        let kind = Kind(
            outer: tunnel.backend.family, inner: packet.source.family, source: tunnel.outerSource,
            isWhole: isWhole)
        let socket: ProbeSocket
        if let open = senders[kind] { socket = open } else { socket = try open(kind) }
        if errors[tunnel.backend] == nil { errors[tunnel.backend] = Heard() }
        for last in (0..<Self.mostTries).reversed() {
            do throws(SocketError) {
                return try socket.send(packet.bytes, to: tunnel.backend)
            } catch {
                // What ICMP says of packets to other backends fails whatever is sent next.
                guard takeErrors(of: socket), last > 0 else { throw error }
            }
        }
    }

    private func open(_ kind: Kind) throws(SocketError) -> ProbeSocket {
        // RFC 2003, RFC 4213, RFC 2473: the protocol says what is inside.
        let inside = kind.inner == .ipv4 ? IPPROTO_IPIP : IPPROTO_IPV6
        let socket = try ProbeSocket(kind.outer, SOCK_RAW, Int32(inside))
        // It would also be handed every tunnelled packet that arrives here. Errors are not filtered.
        _ = cplatform_reject_all(socket.descriptor)
        let discovery = Int32(kind.isWhole ? IP_PMTUDISC_PROBE : IP_PMTUDISC_DONT)
        // Transparent, as traffic's source need be no address of this host.
        if kind.outer == .ipv4 {
            let level = Int32(IPPROTO_IP)
            socket.set(level, IP_MTU_DISCOVER, discovery)
            socket.set(level, IP_RECVERR, 1)
            socket.set(level, IP_TRANSPARENT, 1)
        } else {
            let level = Int32(IPPROTO_IPV6)
            socket.set(level, IPV6_MTU_DISCOVER, discovery)
            socket.set(level, IPV6_RECVERR, 1)
            socket.set(level, IPV6_TRANSPARENT, 1)
        }
        try socket.bind(kind.source)
        try loop.watch(socket.descriptor, for: .reading) { [weak self, weak socket] in
            if let self, let socket { _ = self.takeErrors(of: socket) }
        }
        senders[kind] = socket
        return socket
    }

    // MARK: Errors

    /// Takes what ICMP said; returns whether there was anything.
    private func takeErrors(of socket: ProbeSocket) -> Bool {
        var hasAny = false
        for _ in 0..<Self.mostErrors {
            guard let error = socket.takeQueuedError() else { break }
            hasAny = true
            // Of backends that nothing was sent to it is forged, and would fill the memory.
            guard let backend = error.destination, errors[backend] != nil else { continue }
            errors[backend] = Heard(number: error.number)
        }
        return socket.takePendingError() != 0 || hasAny
    }

    /// What ICMP said last of packets to a backend, an `errno` value; `nil` for nothing since.
    func rejection(of backend: IPAddress, since instant: ContinuousClock.Instant) -> Int32? {
        guard let error = errors[backend], error.number != 0, error.at >= instant else {
            return nil
        }
        return error.number
    }

    /// Forgets errors of all other backends.
    func keepErrors(of backends: Set<IPAddress>) {
        errors = errors.filter { backends.contains($0.key) }
    }

    // MARK: Answers

    /// Sees answers from these addresses from now on, and no others.
    func listen(to vips: Set<IPAddress>) throws(SocketError) {
        for family in AddressFamily.allCases {
            let wanted = vips.filter { $0.family == family }
            guard wanted != sources[family] ?? [] else { continue }
            let socket: ProbeSocket
            if let open = receivers[family] { socket = open } else { socket = try hear(family) }
            let words = wanted.flatMap { address in
                stride(from: 0, to: address.bytes.count, by: 4).map {
                    WireBytes.number(address.bytes[...], at: $0, as: UInt32.self)
                }
            }
            let refusal = unsafe words.withUnsafeBufferPointer { words in
                unsafe cplatform_accept_sources(
                    socket.descriptor, family == .ipv4 ? AF_INET : AF_INET6, words.baseAddress,
                    Int32(wanted.count))
            }
            guard refusal == 0 else { throw SocketError(refusal) }
            sources[family] = wanted
        }
    }

    private func hear(_ family: AddressFamily) throws(SocketError) -> ProbeSocket {
        let type: Int32 = family == .ipv4 ? 0x0800 : 0x86dd
        let socket = try ProbeSocket(cplatform_packet_socket(type))
        try loop.watch(socket.descriptor, for: .reading) { [weak self, weak socket] in
            if let self, let socket { self.takeAnswers(socket) }
        }
        receivers[family] = socket
        return socket
    }

    private func takeAnswers(_ socket: ProbeSocket) {
        for _ in 0..<ProbeSocket.mostReads {
            // An error, as of an interface that went down, is over with being read.
            guard let bytes = try? socket.receive() else { return }
            if let packet = InnerPacket(bytes[...]) { deliver(packet) }
        }
    }

    /// Gives a packet to the attempts that wait for it.
    func deliver(_ packet: InnerPacket) {
        guard let inbox = TunnelInbox(packet) else { return }
        for attempt in waiting[inbox] ?? []
        where packet.source == attempt.tunnel.vip && packet.destination == attempt.tunnel.source {
            attempt.take(packet)
        }
    }

    /// Gives what belongs to an attempt to it from now on.
    func expect(_ attempt: TunnelledAttempt) { waiting[attempt.inbox, default: []].append(attempt) }

    /// Gives an attempt nothing any more.
    func forget(_ attempt: TunnelledAttempt) {
        waiting[attempt.inbox]?.removeAll { $0 === attempt }
        if waiting[attempt.inbox]?.isEmpty == true { waiting[attempt.inbox] = nil }
    }
}
