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

    override func start() {
        guard let socket = ProbeSocket(address.family, SOCK_STREAM) else { return end(by: errno) }
        self.socket = socket
        // Closed by a reset: thousands of probes leave no connection in TIME_WAIT.
        var linger = linger(l_onoff: 1, l_linger: 0)
        _ = unsafe setsockopt(
            socket.descriptor, SOL_SOCKET, SO_LINGER, &linger,
            socklen_t(MemoryLayout<Glibc.linger>.size))
        let refusal = socket.connect(address, port: port)
        guard refusal == 0 || refusal == EINPROGRESS else { return end(by: refusal) }
        watch(for: .writing) { [weak self] in self?.connected() }
    }

    private func watch(for interest: ProbeLoop.Interest, _ body: @escaping () -> Void) {
        guard let socket else { return }
        let refusal = loop.watch(socket.descriptor, for: interest, body)
        if refusal != 0 { end(by: refusal) }
    }

    private func connected() {
        guard let socket else { return }
        let error = socket.pendingError
        guard error == 0 else { return end(by: error) }
        follow(dialogue.opened())
        watch(for: .reading) { [weak self] in self?.readable() }
    }

    private func readable() {
        while let received = socket?.receive() {
            switch received {
            case .failure(let error): return end(by: error.number)
            case .success(let bytes) where bytes.isEmpty:
                follow(dialogue.ended())
                return end(.badReply, "closed without an answer")
            case .success(let bytes): follow(dialogue.received(bytes))
            }
        }
    }

    private func follow(_ move: ProbeMove) {
        if !move.send.isEmpty, let socket {
            let refusal = socket.send(move.send)
            if refusal != 0 { return end(by: refusal) }
        }
        if let verdict = move.verdict { end(by: verdict) }
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

    override func start() {
        guard let socket = ProbeSocket(address.family, exchange.type, exchange.protocolNumber)
        else { return end(by: errno) }
        self.socket = socket
        // Connected, it is handed only what comes from there.
        for refusal in [
            socket.connect(address, port: exchange.port), socket.send(exchange.question),
        ]
        where refusal != 0 {
            return end(by: refusal)
        }
        let refusal = loop.watch(socket.descriptor, for: .reading) { [weak self] in
            self?.readable()
        }
        if refusal != 0 { end(by: refusal) }
    }

    private func readable() {
        while let received = socket?.receive() {
            switch received {
            case .failure(let error): return end(by: error.number)
            case .success(let bytes):
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

/// An echo request that is told from others by its identifier and number.
struct Echo: Equatable {
    var identifier: UInt16
    var number: UInt16
    /// Bytes of data behind the header.
    var dataCount = 32

    /// The message, its checksum right in IPv4 and 0 in IPv6, which covers addresses, too.
    func request(_ family: AddressFamily) -> [UInt8] {
        var message = WireBytes()
        message.put(UInt16(family == .ipv4 ? 8 << 8 : 128 << 8))
        message.put(UInt16(0))
        message.put(identifier)
        message.put(number)
        message.bytes += [UInt8](repeating: 0x78, count: dataCount)
        if family == .ipv4 { message.set(WireBytes.checksum(message.bytes), at: 2) }
        return message.bytes
    }

    /// Whether a message is the reply, with all of the data.
    func isAnswered(by message: [UInt8], _ family: AddressFamily) -> Bool {
        message.count == 8 + dataCount && message[0] == (family == .ipv4 ? 0 : 129)
            && WireBytes.number(message[...], at: 4, as: UInt16.self) == identifier
            && WireBytes.number(message[...], at: 6, as: UInt16.self) == number
    }
}
