// SPDX-License-Identifier: Apache-2.0
internal import DataPlane
internal import Glibc

/// A probe inside a tunnel.
class TunnelledAttempt: ProbeAttempt {
    /// How far back an error by ICMP still says what a probe got no answer for: Linux sends one a
    /// second to a host at most, however many probes draw one.
    private static let errorMemory = Duration.seconds(2)

    let sockets: TunnelSockets
    let tunnel: Tunnel
    let inbox: TunnelInbox

    init(
        _ loop: ProbeLoop, _ sockets: TunnelSockets, _ tunnel: Tunnel, _ inbox: TunnelInbox,
        timeout: Duration, finish: @escaping (ProbeOutcome) -> Void
    ) {
        self.sockets = sockets
        self.tunnel = tunnel
        self.inbox = inbox
        super.init(loop, timeout: timeout, finish: finish)
    }

    override func begin() throws(SocketError) { sockets.expect(self) }

    /// Takes a packet that came from the VIP.
    func take(_ packet: InnerPacket) {}

    override var rejection: Int32? {
        sockets.rejection(of: tunnel.backend, since: began - Self.errorMemory)
    }

    override func cleanUp() { sockets.forget(self) }
}

/// A dialogue over a TCP connection to the VIP, inside a tunnel.
final class TunnelStreamAttempt: TunnelledAttempt {
    private let dialogue: any ProbeDialogue
    private var stream: TunnelStream

    init(
        _ loop: ProbeLoop, _ sockets: TunnelSockets, _ tunnel: Tunnel, from port: ReservedPort,
        _ dialogue: any ProbeDialogue, timeout: Duration, finish: @escaping (ProbeOutcome) -> Void
    ) {
        self.dialogue = dialogue
        stream = TunnelStream(
            from: tunnel.source, port: port.number, to: tunnel.vip, port: tunnel.port,
            initialSequence: .random(in: .min ... .max))
        super.init(loop, sockets, tunnel, port.inbox, timeout: timeout, finish: finish)
    }

    override func begin() throws(SocketError) {
        try super.begin()
        try sockets.send(stream.open(), into: tunnel)
    }

    private func send(_ packets: [InnerPacket]) {
        trying { () throws(SocketError) in
            for packet in packets { try sockets.send(packet, into: tunnel) }
        }
    }

    override func take(_ packet: InnerPacket) {
        let (event, answers) = stream.receive(packet)
        send(answers)
        switch event {
        case .nothing: break
        case .opened: follow(dialogue.opened())
        case .refused: end(.refused, "refused")
        case .ended: finishReading()
        case .data(let bytes):
            follow(dialogue.received(bytes))
            if stream.hasEnded { finishReading() }
        }
    }

    private func finishReading() {
        guard !isOver else { return }
        follow(dialogue.ended())
        end(.badReply, "closed without an answer")
    }

    private func follow(_ move: ProbeMove) {
        send(stream.send(move.send))
        if let verdict = move.verdict { end(by: verdict) }
    }

    override func cleanUp() {
        super.cleanUp()
        for packet in stream.reset() { try? sockets.send(packet, into: tunnel) }
    }
}

/// A question to the VIP and its answer, in one packet each, inside a tunnel.
final class TunnelDatagramAttempt: TunnelledAttempt {
    private let packet: InnerPacket
    private let judge: (InnerPacket) -> ProbeMove.Verdict?

    /// A question that is sent at the start; `judge` says what an answer means, `nil` when it is
    /// none to this question.
    init(
        _ loop: ProbeLoop, _ sockets: TunnelSockets, _ tunnel: Tunnel, _ inbox: TunnelInbox,
        _ packet: InnerPacket, timeout: Duration,
        judge: @escaping (InnerPacket) -> ProbeMove.Verdict?,
        finish: @escaping (ProbeOutcome) -> Void
    ) {
        self.packet = packet
        self.judge = judge
        super.init(loop, sockets, tunnel, inbox, timeout: timeout, finish: finish)
    }

    override func begin() throws(SocketError) {
        try super.begin()
        try sockets.send(packet, into: tunnel, isWhole: true)
    }

    override func take(_ packet: InnerPacket) {
        if let verdict = judge(packet) { end(by: verdict) }
    }
}

extension InnerPacket {
    /// An echo request to a VIP.
    static func echo(_ echo: Echo, in tunnel: Tunnel) -> InnerPacket {
        let family = tunnel.vip.family
        var message = WireBytes(bytes: echo.request(family))
        // The constructor fills the checksum in for both families.
        message.set(0, at: 2)
        return InnerPacket(
            tunnel.source, tunnel.vip, family == .ipv4 ? icmpv4 : icmpv6, message.bytes,
            checksumOffset: 2)
    }

    /// A UDP datagram to a VIP.
    static func datagram(_ data: [UInt8], from port: UInt16, in tunnel: Tunnel) -> InnerPacket {
        var bytes = WireBytes()
        bytes.put(port)
        bytes.put(tunnel.port)
        bytes.put(UInt16(8 + data.count))
        bytes.put(UInt16(0))
        return InnerPacket(tunnel.source, tunnel.vip, udp, bytes.bytes + data, checksumOffset: 6)
    }
}
