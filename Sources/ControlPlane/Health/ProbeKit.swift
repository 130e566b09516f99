// SPDX-License-Identifier: Apache-2.0
internal import DataPlane
internal import Glibc
internal import NIOSSL

/// What probes are made of and sent with, shared by all backends.
final class ProbeKit {
    let loop: ProbeLoop
    let sockets = TunnelSockets()
    private var context: NIOSSLContext?
    /// Who waits for packets from VIPs, by port and by echo identifier.
    private var byPort: [UInt16: ProbedBackend] = [:]
    private var byIdentifier: [UInt16: ProbedBackend] = [:]

    init(_ loop: ProbeLoop) { self.loop = loop }

    // MARK: Answers from VIPs

    func register(_ backend: ProbedBackend) {
        guard let inbox = backend.inbox else { return }
        if let port = inbox.port { byPort[port] = backend }
        byIdentifier[inbox.identifier] = backend
    }

    func unregister(_ backend: ProbedBackend) {
        for (port, owner) in byPort where owner === backend { byPort[port] = nil }
        for (identifier, owner) in byIdentifier where owner === backend {
            byIdentifier[identifier] = nil
        }
    }

    /// Gives a packet to the backend whose probe it answers, if it is for one.
    func deliver(_ packet: InnerPacket) {
        let payload = packet.payload[...]
        guard payload.count >= 8 else { return }
        let backend: ProbedBackend?
        switch packet.transport {
        case InnerPacket.tcp, InnerPacket.udp: backend = byPort[WireBytes.number(payload, at: 2)]
        case InnerPacket.icmpv4, InnerPacket.icmpv6:
            backend = byIdentifier[WireBytes.number(payload, at: 4)]
        default: backend = nil
        }
        guard let backend, case .tunnel(let tunnel) = backend.target.way,
            packet.source == tunnel.vip, packet.destination == tunnel.source
        else { return }
        backend.take(packet)
    }

    // MARK: Attempts

    typealias Finish = (ProbeOutcome) -> Void

    /// A probe of a backend's own address.
    func direct(
        _ target: HealthTarget, port: UInt16, echo: Echo, finish: @escaping Finish
    ) -> ProbeAttempt {
        let address = target.key.endpoint.address
        let timeout = target.configuration.timeout
        switch target.configuration.kind {
        case .dns:
            return DatagramAttempt(
                loop, to: address, .init(dialogue(of: target), port: port), timeout: timeout,
                finish: finish)
        case .icmp:
            return DatagramAttempt(
                loop, to: address, .init(echo, address.family), timeout: timeout, finish: finish)
        case .tcp, .http, .https, .none:
            return StreamAttempt(
                loop, to: address, port: port, stream(of: target, host: address),
                timeout: timeout, finish: finish)
        }
    }

    /// A probe of the VIP through the backend's tunnel.
    func tunnelled(
        _ target: HealthTarget, _ tunnel: Tunnel, _ port: ReservedPort?, echo: Echo,
        finish: @escaping Finish
    ) -> ProbeAttempt {
        guard let port else { return self.echo(target, tunnel, echo, finish: finish) }
        let timeout = target.configuration.timeout
        guard target.configuration.kind == .dns else {
            return TunnelStreamAttempt(
                loop, sockets, tunnel, from: port, stream(of: target, host: tunnel.vip),
                timeout: timeout, finish: finish)
        }
        let question = dialogue(of: target)
        return TunnelDatagramAttempt(
            loop, sockets, tunnel,
            .datagram(question.question, from: port.number, in: tunnel), timeout: timeout,
            judge: { packet in
                packet.transport == InnerPacket.udp
                    ? question.judge(Array(packet.payload.dropFirst(8))) : nil
            }, finish: finish)
    }

    /// An echo request through the tunnel.
    func echo(
        _ target: HealthTarget, _ tunnel: Tunnel, _ echo: Echo, finish: @escaping Finish
    ) -> ProbeAttempt {
        let family = tunnel.vip.family
        return TunnelDatagramAttempt(
            loop, sockets, tunnel, .echo(echo, in: tunnel), timeout: target.configuration.timeout,
            judge: { echo.isAnswered(by: $0.payload, family) ? .success : nil }, finish: finish)
    }

    /// Whether the backend's host answers at its own address: a refusal is an answer, too.
    func reachability(
        of target: HealthTarget, _ tunnel: Tunnel, echo: Echo, finish: @escaping Finish
    ) -> ProbeAttempt {
        let timeout = target.configuration.timeout
        guard [.tcp, .http, .https].contains(target.configuration.kind) else {
            return DatagramAttempt(
                loop, to: tunnel.backend, .init(echo, tunnel.backend.family), timeout: timeout,
                finish: finish)
        }
        return StreamAttempt(
            loop, to: tunnel.backend, port: tunnel.port, ConnectDialogue(), timeout: timeout,
            finish: finish)
    }

    private func dialogue(of target: HealthTarget) -> DatagramDialogue {
        .dns(id: .random(in: .min ... .max), name: target.configuration.query)
    }

    private func stream(of target: HealthTarget, host: IPAddress) -> any ProbeDialogue {
        let configuration = target.configuration
        guard [.http, .https].contains(configuration.kind) else { return ConnectDialogue() }
        let name = Endpoint(address: host, port: nil).hostText
        let http = HTTPDialogue(configuration, host: name)
        guard configuration.kind == .https else { return http }
        do {
            let shared = try context ?? TLSDialogue.makeContext()
            context = shared
            return try TLSDialogue(http, host: configuration.host, shared)
        } catch {
            return UnusableDialogue(reason: "TLS: \(error)")
        }
    }
}

/// What stands for a dialogue that could not be made.
private final class UnusableDialogue: ProbeDialogue {
    private let reason: String

    init(reason: String) { self.reason = reason }

    func opened() -> ProbeMove { .bad(reason) }
    func received(_: [UInt8]) -> ProbeMove { .bad(reason) }
    func ended() -> ProbeMove { .bad(reason) }
}

/// The thread's `errno`.
func lastError() -> Int32 { errno }
