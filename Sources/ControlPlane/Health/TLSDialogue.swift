// SPDX-License-Identifier: Apache-2.0
internal import NIOCore
internal import NIOEmbedded
internal import NIOSSL
internal import NIOTLS

/// `https`: another dialogue inside TLS.
///
/// TLS is the library's; its channel is one of memory, so that the bytes may go by a socket or
/// through a tunnel. The certificate is not judged: a probe asks whether the backend serves, and a
/// backend that holds an expired one still does what it did.
final class TLSDialogue: ProbeDialogue {
    private let inner: any ProbeDialogue
    private let channel = EmbeddedChannel()
    private let handshake = HandshakeWatch()
    private var isOpen = false

    /// A dialogue inside TLS.
    ///
    /// - Parameters:
    ///   - inner: What is said inside.
    ///   - host: The name that is asked for (RFC 6066 §3); an address is left out, as it says.
    ///   - context: What all probes share; see ``makeContext()``.
    /// - Throws: The library's error for a name that cannot be one.
    init(_ inner: any ProbeDialogue, host: String?, _ context: NIOSSLContext) throws {
        self.inner = inner
        let name = host.flatMap { $0.contains(where: \.isLetter) && !$0.contains(":") ? $0 : nil }
        try channel.pipeline.syncOperations.addHandlers([
            NIOSSLClientHandler(context: context, serverHostname: name), handshake,
        ])
    }

    deinit {
        channel.close(promise: nil)
        // The library waits for the other side's farewell, which is not coming: time is up.
        channel.embeddedEventLoop.advanceTime(by: .minutes(1))
    }

    /// What all probes share: TLS 1.2 or later, no verification.
    static func makeContext() throws -> NIOSSLContext {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.certificateVerification = .none
        configuration.minimumTLSVersion = .tlsv12
        return try NIOSSLContext(configuration: configuration)
    }

    func opened() -> ProbeMove {
        attempt {
            // The address is of no meaning: it makes the channel one that is connected.
            _ = channel.connect(to: try SocketAddress(ipAddress: "127.0.0.1", port: 443))
        }
    }

    func received(_ bytes: [UInt8]) -> ProbeMove {
        attempt { try channel.writeInbound(ByteBuffer(bytes: bytes)) }
    }

    func ended() -> ProbeMove { isOpen ? inner.ended() : .bad("closed during the TLS handshake") }

    private func attempt(_ body: () throws -> Void) -> ProbeMove {
        do {
            try body()
            channel.embeddedEventLoop.run()
            var move = try advance()
            move.send = try takeCiphertext()
            return move
        } catch {
            return .bad("TLS: \(error)")
        }
    }

    /// Lets the inner dialogue speak once the handshake is over.
    private func advance() throws -> ProbeMove {
        if !isOpen, handshake.isOver {
            isOpen = true
            let move = inner.opened()
            try say(move.send)
            if move.verdict != nil { return move }
        }
        while let buffer: ByteBuffer = try channel.readInbound() {
            let move = inner.received(Array(buffer.readableBytesView))
            try say(move.send)
            if move.verdict != nil { return move }
        }
        return ProbeMove()
    }

    private func say(_ bytes: [UInt8]) throws {
        guard !bytes.isEmpty else { return }
        try channel.writeOutbound(ByteBuffer(bytes: bytes))
    }

    private func takeCiphertext() throws -> [UInt8] {
        var bytes: [UInt8] = []
        while let buffer: ByteBuffer = try channel.readOutbound() {
            bytes += buffer.readableBytesView
        }
        return bytes
    }
}

/// Notes the end of the handshake.
private final class HandshakeWatch: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private(set) var isOver = false

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .handshakeCompleted = event as? TLSUserEvent { isOver = true }
        context.fireUserInboundEventTriggered(event)
    }
}
