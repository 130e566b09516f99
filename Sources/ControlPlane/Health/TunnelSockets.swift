// SPDX-License-Identifier: Apache-2.0
internal import CPlatform
internal import DataPlane
internal import Glibc

/// The sockets by which packets go into tunnels, and by which answers from VIPs are seen.
///
/// Sending is by raw sockets of the kernel, which writes the outer header and finds the next hop.
/// Answers come without a tunnel, from the VIP to the interface's address; packet sockets see them.
final class TunnelSockets {
    /// A raw socket is for one outer protocol, by families.
    private struct Kind: Hashable {
        var outer: AddressFamily
        var inner: AddressFamily
        var source: IPAddress
        var isWhole: Bool
    }

    private var senders: [Kind: ProbeSocket] = [:]
    private var receivers: [AddressFamily: ProbeSocket] = [:]
    private var sources: [AddressFamily: Set<IPAddress>] = [:]

    /// Sends a packet into a tunnel.
    ///
    /// - Parameters:
    ///   - packet: The inner packet.
    ///   - tunnel: Where it goes.
    ///   - isWhole: Whether it may not be fragmented on the way, whatever the kernel believes of
    ///     the path.
    /// - Returns: 0 or an `errno` value.
    func send(_ packet: InnerPacket, into tunnel: Tunnel, isWhole: Bool = false) -> Int32 {
        let kind = Kind(
            outer: tunnel.backend.family, inner: packet.source.family, source: tunnel.outerSource,
            isWhole: isWhole)
        guard let socket = senders[kind] ?? open(kind) else { return errno }
        senders[kind] = socket
        return socket.send(packet.bytes, to: tunnel.backend)
    }

    private func open(_ kind: Kind) -> ProbeSocket? {
        // RFC 2003, RFC 4213, RFC 2473: the protocol says what is inside.
        let inside = kind.inner == .ipv4 ? IPPROTO_IPIP : IPPROTO_IPV6
        guard let socket = ProbeSocket(kind.outer, SOCK_RAW, Int32(inside)) else { return nil }
        // It would also be handed every tunnelled packet that arrives here.
        _ = cplatform_reject_all(socket.descriptor)
        let probe = Int32(kind.isWhole ? IP_PMTUDISC_PROBE : IP_PMTUDISC_DONT)
        if kind.outer == .ipv4 {
            socket.set(Int32(IPPROTO_IP), IP_MTU_DISCOVER, probe)
        } else {
            socket.set(Int32(IPPROTO_IPV6), IPV6_MTU_DISCOVER, probe)
        }
        let refusal = socket.bind(kind.source)
        guard refusal == 0 else {
            errno = refusal
            return nil
        }
        return socket
    }

    // MARK: Answers

    /// Sees answers from these addresses from now on.
    ///
    /// - Returns: Sockets that answers arrive on and that are new; 0 or an `errno` value.
    func listen(to vips: Set<IPAddress>) -> (added: [ProbeSocket], error: Int32) {
        var added: [ProbeSocket] = []
        for family in AddressFamily.allCases {
            let wanted = vips.filter { $0.family == family }
            guard wanted != sources[family] ?? [] else { continue }
            if receivers[family] == nil {
                let type = family == .ipv4 ? 0x0800 : 0x86dd
                guard let socket = ProbeSocket(cplatform_packet_socket(Int32(type))) else {
                    return (added, errno)
                }
                receivers[family] = socket
                added.append(socket)
            }
            guard let socket = receivers[family] else { continue }
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
            guard refusal == 0 else { return (added, refusal) }
            sources[family] = wanted
        }
        return (added, 0)
    }

    /// The answers that have arrived on a socket.
    func takeAnswers(_ descriptor: Int32) -> [InnerPacket] {
        guard let socket = receivers.values.first(where: { $0.descriptor == descriptor }) else {
            return []
        }
        var packets: [InnerPacket] = []
        while packets.count < 256, case .success(let bytes)? = socket.receive() {
            if let packet = InnerPacket(bytes[...]) { packets.append(packet) }
        }
        return packets
    }
}

/// A port of the interface's address that no other program uses, and at which the kernel is silent.
///
/// A socket that takes nothing in stands there: without it the kernel would answer what comes from
/// a VIP with a reset or an ICMP error of its own.
final class ReservedPort {
    let number: UInt16
    private let socket: ProbeSocket

    /// Reserves a port; `nil` with `errno` when there is none.
    init?(_ address: IPAddress, isTCP: Bool) {
        guard let socket = ProbeSocket(address.family, isTCP ? SOCK_STREAM : SOCK_DGRAM),
            cplatform_reject_all(socket.descriptor) == 0
        else { return nil }
        let refusal = socket.bind(address)
        guard refusal == 0 else {
            errno = refusal
            return nil
        }
        if isTCP { _ = listen(socket.descriptor, 1) }
        self.socket = socket
        number = socket.localPort
    }
}
