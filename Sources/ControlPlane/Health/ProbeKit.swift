// SPDX-License-Identifier: Apache-2.0
internal import DataPlane
internal import Glibc
internal import NIOSSL

/// What probes are made of and sent with, shared by all backends.
final class ProbeKit {
    let loop: ProbeLoop
    let sockets: TunnelSockets
    private var context: NIOSSLContext?

    init(_ loop: ProbeLoop) {
        self.loop = loop
        sockets = TunnelSockets(loop)
    }

    typealias Finish = (ProbeOutcome) -> Void

    /// A probe of a backend's own address.
    func direct(
        _ health: HealthConfiguration, to address: IPAddress, port: UInt16, echo: Echo,
        finish: @escaping Finish
    ) -> ProbeAttempt {
        switch health.kind {
        case .dns:
            return DatagramAttempt(
                loop, to: address, .init(question(of: health), port: port),
                timeout: health.timeout, finish: finish)
        case .icmp:
            return DatagramAttempt(
                loop, to: address, .init(echo, address.family), timeout: health.timeout,
                finish: finish)
        case .tcp, .http, .https, .none:
            return StreamAttempt(
                loop, to: address, port: port, dialogue(of: health, host: address),
                timeout: health.timeout, finish: finish)
        }
    }

    /// A probe of the VIP through the backend's tunnel.
    ///
    /// - Parameters:
    ///   - health: What is asked.
    ///   - tunnel: Where.
    ///   - port: What it comes from; `nil` for a kind that has no ports.
    ///   - echo: What is sent in that case.
    ///   - finish: Called with what came of it.
    /// - Returns: The probe, to be started.
    func tunnelled(
        _ health: HealthConfiguration, _ tunnel: Tunnel, from port: ReservedPort?, echo: Echo,
        finish: @escaping Finish
    ) -> ProbeAttempt {
        guard let port else {
            return self.echo(echo, tunnel, timeout: health.timeout, finish: finish)
        }
        guard port.transport == .udp else {
            return TunnelStreamAttempt(
                loop, sockets, tunnel, from: port, dialogue(of: health, host: tunnel.vip),
                timeout: health.timeout, finish: finish)
        }
        let question = question(of: health)
        return TunnelDatagramAttempt(
            loop, sockets, tunnel, port.inbox,
            .datagram(question.question, from: port.number, in: tunnel), timeout: health.timeout,
            judge: { question.judge(Array($0.payload.dropFirst(8))) }, finish: finish)
    }

    /// An echo request through the tunnel.
    func echo(
        _ echo: Echo, _ tunnel: Tunnel, timeout: Duration, finish: @escaping Finish
    ) -> ProbeAttempt {
        let family = tunnel.vip.family
        return TunnelDatagramAttempt(
            loop, sockets, tunnel, .echo(family, echo.identifier), .echo(echo, in: tunnel),
            timeout: timeout,
            judge: { echo.isAnswered(by: $0.payload, family) ? .success : nil }, finish: finish)
    }

    /// Two echo requests through the tunnel, a small one and one of full size: only when the small
    /// one is answered does the other's fate say anything.
    ///
    /// - Parameters:
    ///   - tunnel: The tunnel.
    ///   - byteCount: Bytes of the large packet inside it.
    ///   - identifier: Tells its echo requests from others'.
    ///   - number: The same.
    ///   - timeout: How long an answer may take.
    ///   - finish: Called with whether the large packet got through; `nil` when nothing did.
    /// - Returns: Both, to be started.
    func fullSize(
        _ tunnel: Tunnel, _ byteCount: Int, identifier: UInt16, number: UInt16,
        timeout: Duration, finish: @escaping (Bool?) -> Void
    ) -> [ProbeAttempt] {
        let headers = (tunnel.vip.family == .ipv4 ? 20 : 40) + 8
        var answered: [Int: Bool] = [:]
        let sizes = [8, max(8, byteCount - headers)]
        return sizes.indices.map { index in
            let echo = Echo(identifier: identifier, number: number, dataCount: sizes[index])
            return self.echo(echo, tunnel, timeout: timeout) { outcome in
                answered[index] = outcome.result == .success
                guard let small = answered[0], let large = answered[1] else { return }
                finish(small ? large : nil)
            }
        }
    }

    /// Whether the backend's host answers at its own address: a refusal is an answer, too.
    func reachability(
        _ health: HealthConfiguration, _ tunnel: Tunnel, echo: Echo, finish: @escaping Finish
    ) -> ProbeAttempt {
        guard [.tcp, .http, .https].contains(health.kind) else {
            return DatagramAttempt(
                loop, to: tunnel.backend, .init(echo, tunnel.backend.family),
                timeout: health.timeout, finish: finish)
        }
        return StreamAttempt(
            loop, to: tunnel.backend, port: tunnel.port, ConnectDialogue(),
            timeout: health.timeout, finish: finish)
    }

    private func question(of health: HealthConfiguration) -> DatagramDialogue {
        .dns(id: .random(in: .min ... .max), name: health.query)
    }

    private func dialogue(of health: HealthConfiguration, host: IPAddress) -> any ProbeDialogue {
        guard [.http, .https].contains(health.kind) else { return ConnectDialogue() }
        let name = Endpoint(address: host, port: nil).hostText
        let http = HTTPDialogue(health, host: name)
        guard health.kind == .https else { return http }
        do {
            let shared = try context ?? TLSDialogue.makeContext()
            context = shared
            return try TLSDialogue(http, host: health.host, shared)
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
