// SPDX-License-Identifier: Apache-2.0
internal import DataPlane
internal import Glibc

/// A dialogue over a TCP connection of the kernel.
final class StreamAttempt: ProbeAttempt {
    private let address: IPAddress
    private let port: UInt16
    private let dialogue: any ProbeDialogue
    private var socket: ProbeSocket?

    init(
        _ loop: ProbeLoop, to address: IPAddress, port: UInt16, _ dialogue: any ProbeDialogue,
        timeout: Duration, finish: @escaping (ProbeOutcome) -> Void
    ) {
        self.address = address
        self.port = port
        self.dialogue = dialogue
        super.init(loop, timeout: timeout, finish: finish)
    }

    override func begin() throws(SocketError) {
        let socket = try ProbeSocket(address.family, SOCK_STREAM)
        self.socket = socket
        // Closed by a reset: thousands of probes leave no connection in TIME_WAIT.
        var linger = linger(l_onoff: 1, l_linger: 0)
        _ = unsafe setsockopt(
            socket.descriptor, SOL_SOCKET, SO_LINGER, &linger,
            socklen_t(MemoryLayout<Glibc.linger>.size))
        try socket.connect(address, port: port)
        try loop.watch(socket.descriptor, for: .writing) { [weak self] in self?.connected() }
    }

    private func connected() {
        trying { () throws(SocketError) in
            guard let socket else { return }
            let error = socket.takePendingError()
            guard error == 0 else { throw SocketError(error) }
            follow(dialogue.opened())
            guard !isOver else { return }
            try loop.watch(socket.descriptor, for: .reading) { [weak self] in self?.readable() }
        }
    }

    private func readable() {
        trying { () throws(SocketError) in
            for _ in 0..<ProbeSocket.mostReads {
                guard let bytes = try socket?.receive() else { return }
                if bytes.isEmpty {
                    follow(dialogue.ended())
                    return end(.badReply, "closed without an answer")
                }
                follow(dialogue.received(bytes))
            }
        }
    }

    private func follow(_ move: ProbeMove) {
        trying { () throws(SocketError) in
            if !move.send.isEmpty { try socket?.send(move.send) }
            if let verdict = move.verdict { end(by: verdict) }
        }
    }

    override func cleanUp() {
        if let socket { loop.forget(socket.descriptor) }
        socket = nil
    }
}

/// A question and its answer, in one datagram each, over a socket of the kernel.
final class DatagramAttempt: ProbeAttempt {
    /// What is sent and how, and what an answer says; `nil` when it is none to this question.
    struct Exchange {
        var type: __socket_type
        var protocolNumber: Int32 = 0
        var port: UInt16 = 0
        var question: [UInt8]
        var judge: ([UInt8]) -> ProbeMove.Verdict?
    }

    private let address: IPAddress
    private let exchange: Exchange
    private var socket: ProbeSocket?

    init(
        _ loop: ProbeLoop, to address: IPAddress, _ exchange: Exchange, timeout: Duration,
        finish: @escaping (ProbeOutcome) -> Void
    ) {
        self.address = address
        self.exchange = exchange
        super.init(loop, timeout: timeout, finish: finish)
    }

    override func begin() throws(SocketError) {
        let socket = try ProbeSocket(address.family, exchange.type, exchange.protocolNumber)
        self.socket = socket
        // Connected, it is handed only what comes from there.
        try socket.connect(address, port: exchange.port)
        try socket.send(exchange.question)
        try loop.watch(socket.descriptor, for: .reading) { [weak self] in self?.readable() }
    }

    private func readable() {
        trying { () throws(SocketError) in
            for _ in 0..<ProbeSocket.mostReads {
                guard let bytes = try socket?.receive() else { return }
                if let verdict = exchange.judge(bytes) { return end(by: verdict) }
            }
        }
    }

    override func cleanUp() {
        if let socket { loop.forget(socket.descriptor) }
        socket = nil
    }
}

extension DatagramAttempt.Exchange {
    /// A question over UDP.
    init(_ dialogue: DatagramDialogue, port: UInt16) {
        self.init(
            type: SOCK_DGRAM, port: port, question: dialogue.question, judge: dialogue.judge)
    }

    /// An echo request and its reply (RFC 792, RFC 4443 §4).
    ///
    /// In IPv6 the kernel fills in the checksum, as it knows the source.
    init(_ echo: Echo, _ family: AddressFamily) {
        self.init(
            type: SOCK_RAW, protocolNumber: family == .ipv4 ? Int32(IPPROTO_ICMP) : 58,
            question: echo.request(family)
        ) { bytes in
            // An IPv4 raw socket gives the IP header, too (raw(7)).
            let message = family == .ipv4 ? InnerPacket(bytes[...])?.payload ?? [] : bytes
            return echo.isAnswered(by: message, family) ? .success : nil
        }
    }
}
