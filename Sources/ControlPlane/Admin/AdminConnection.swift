// SPDX-License-Identifier: Apache-2.0
internal import HTTPTypes
internal import NIOCore
internal import NIOHTTP1
internal import NIOHTTPTypes

/// Holds a connection to its times, and answers what is no request.
///
/// Stands behind the decoder: it sees a head when the head is whole, so a client that sends one byte
/// a second, or none, looks the same to it.
final class AdminConnection: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    private enum Phase {
        /// Nothing of a request has come, or not all of its head.
        case waiting
        /// The head was whole; its body is not.
        case receiving
        /// The request is being worked on.
        case working
        /// The answer is on its way.
        case answering
        /// The last word was said.
        case over
    }

    private let clients: AdminClients
    private var phase = Phase.waiting
    private var deadline: Scheduled<Void>?
    private var isRegistered = false
    /// Requests whose head has come, and whose answer is not complete.
    private var unanswered = 0
    private var wasAnswered = false
    /// Whether the answer goes on until one of the two ends it.
    private var isStreaming = false
    /// Pieces of such an answer that the reader has not taken.
    private var piecesLeft = 0

    /// Content types of answers that go on.
    private static let streams = ["text/event-stream", "application/x-pcapng"]

    init(_ clients: AdminClients) { self.clients = clients }

    // MARK: Beginning and end

    func handlerAdded(context: ChannelHandlerContext) {
        if context.channel.isActive { begin(context) }
    }

    func channelActive(context: ChannelHandlerContext) {
        begin(context)
        context.fireChannelActive()
    }

    private func begin(_ context: ChannelHandlerContext) {
        guard !isRegistered else { return }
        isRegistered = true
        clients.connected(ObjectIdentifier(self), evict: eviction(context))
        schedule(context, in: clients.patience.request)
    }

    func channelInactive(context: ChannelHandlerContext) {
        deadline?.cancel()
        if isRegistered { clients.disconnected(ObjectIdentifier(self)) }
        isRegistered = false
        phase = .over
        context.fireChannelInactive()
    }

    // MARK: Request and answer

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard phase != .over else { return }
        switch unwrapInboundIn(data) {
        case .head:
            unanswered += 1
            // One that comes before the answer to another waits its turn, as the other did.
            if phase == .waiting {
                clients.asks(ObjectIdentifier(self))
                phase = .receiving
                schedule(context, in: clients.patience.request)
            }
        case .body: break
        case .end:
            if phase == .receiving {
                phase = .working
                deadline?.cancel()
            }
        }
        context.fireChannelRead(data)
    }

    func write(
        context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?
    ) {
        guard phase != .over else {
            promise?.fail(ChannelError.ioOnClosedChannel)
            return
        }
        var promise = promise
        switch unwrapOutboundIn(data) {
        case .head(let head):
            phase = .answering
            let type = head.headerFields[.contentType] ?? ""
            isStreaming = Self.streams.contains { type.hasPrefix($0) }
            if isStreaming {
                deadline?.cancel()
            } else {
                schedule(context, in: clients.patience.answer)
            }
        case .body:
            if isStreaming { promise = watch(context, promise) }
        case .end:
            isStreaming = false
            unanswered -= 1
            wasAnswered = true
            deadline?.cancel()
            phase = unanswered > 0 ? .working : .waiting
            guard phase == .waiting else { break }
            clients.waits(ObjectIdentifier(self), evict: eviction(context))
            schedule(context, in: clients.patience.pause)
        }
        context.write(data, promise: promise)
    }

    /// Waits for the reader to take a piece of an answer that goes on, but not for ever.
    private func watch(
        _ context: ChannelHandlerContext, _ promise: EventLoopPromise<Void>?
    ) -> EventLoopPromise<Void> {
        let promise = promise ?? context.eventLoop.makePromise(of: Void.self)
        piecesLeft += 1
        if piecesLeft == 1 { schedule(context, in: clients.patience.reader) }
        promise.futureResult.assumeIsolated().whenComplete { _ in
            self.piecesLeft -= 1
            guard self.phase == .answering, self.isStreaming else { return }
            // It has taken something, and with that more time, or all there is.
            if self.piecesLeft > 0 {
                self.schedule(context, in: self.clients.patience.reader)
            } else {
                self.deadline?.cancel()
            }
        }
        return promise
    }

    // MARK: Refusing

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        switch error {
        case is IOError, is ChannelError:
            context.fireErrorCaught(error)
        case HTTPParserError.headerOverflow:
            refuse(
                context, .requestHeaderFieldsTooLarge, "too_large",
                "the request's head is over \(AdminService.maximumHeadSize) bytes")
        default:
            refuse(context, .badRequest, "malformed", "this is not an HTTP request: \(error)")
        }
    }

    /// Says why and closes; where an answer is under way, or an earlier one was the last word, it
    /// only closes.
    private func refuse(
        _ context: ChannelHandlerContext, _ status: HTTPResponse.Status, _ code: String,
        _ message: String
    ) {
        let mayAnswer =
            phase == .receiving && unanswered == 1
            || phase == .waiting && (!wasAnswered || status == .badRequest)
        phase = .over
        deadline?.cancel()
        guard mayAnswer else {
            context.close(promise: nil)
            return
        }
        let document = AdminErrors.document(code, message)
        let head = HTTPResponse(
            status: status,
            headerFields: [
                .contentType: "application/json; charset=utf-8", .connection: "close",
                .contentLength: "\(document.readableBytes)",
            ])
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.write(wrapOutboundOut(.body(document)), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil))).assumeIsolated().whenComplete { _ in
            context.close(promise: nil)
        }
    }

    private func schedule(_ context: ChannelHandlerContext, in time: TimeAmount) {
        deadline?.cancel()
        deadline = context.eventLoop.assumeIsolated().scheduleTask(in: time) {
            self.refuse(
                context, .requestTimeout, "timeout",
                "no complete request arrived within \(time.nanoseconds / 1_000_000_000) s")
        }
    }

    /// What makes room for others, to be called from anywhere.
    private func eviction(_ context: ChannelHandlerContext) -> @Sendable () -> Void {
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        let eventLoop = context.eventLoop
        return {
            eventLoop.execute {
                let (connection, context) = bound.value
                guard connection.phase == .waiting else { return }
                connection.refuse(
                    context, .serviceUnavailable, "too_many_clients",
                    "closed while idle: all connections were in use and another client was waiting")
            }
        }
    }
}
