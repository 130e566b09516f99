// SPDX-License-Identifier: Apache-2.0
import HTTPTypes
import NIOCore
import NIOEmbedded
import NIOHTTPTypes
import Testing

@testable import ControlPlane

/// How long an answer may take: the clock is the test's.
@Suite struct AdminConnectionTests {
    private static let patience = AdminClients.Patience(
        request: .seconds(1), pause: .seconds(2), answer: .seconds(3), reader: .seconds(5))

    /// A connection that is being answered with a content type.
    private static func answering(_ type: String) throws -> EmbeddedChannel {
        let channel = EmbeddedChannel(
            handler: AdminConnection(AdminClients(limit: 8, patience: patience)))
        try channel.connect(to: SocketAddress(unixDomainSocketPath: "/admin.sock")).wait()
        let request = HTTPRequest(method: .get, scheme: "http", authority: "x", path: "/")
        try channel.writeInbound(HTTPRequestPart.head(request))
        try channel.writeInbound(HTTPRequestPart.end(nil))
        let head = HTTPResponse(status: .ok, headerFields: [.contentType: type])
        channel.writeAndFlush(HTTPResponsePart.head(head), promise: nil)
        return channel
    }

    /// A piece of the answer, which the reader takes only with the next flush.
    private static func write(_ channel: EmbeddedChannel) {
        channel.write(HTTPResponsePart.body(ByteBuffer(string: "piece")), promise: nil)
    }

    private static func pass(_ seconds: Int64, _ channel: EmbeddedChannel) {
        channel.embeddedEventLoop.advanceTime(by: .seconds(seconds))
    }

    @Test(arguments: ["application/x-pcapng", "text/event-stream"])
    func `an answer that goes on lasts as long as its reader takes something`(type: String) throws {
        let channel = try Self.answering(type)
        for _ in 0..<10 {
            Self.write(channel)
            Self.write(channel)
            Self.pass(4, channel)
            channel.flush()
            // Nothing is there for the reader, which is not its fault.
            Self.pass(60, channel)
            #expect(channel.isActive)
        }
        channel.writeAndFlush(HTTPResponsePart.end(nil), promise: nil)
        Self.pass(1, channel)
        #expect(channel.isActive)
        Self.pass(1, channel)
        #expect(!channel.isActive)
    }

    @Test(arguments: ["application/x-pcapng", "text/event-stream"])
    func `an answer that goes on is cut when its reader takes nothing`(type: String) throws {
        let channel = try Self.answering(type)
        Self.write(channel)
        Self.pass(4, channel)
        // More of what it does not take gives it no more time.
        Self.write(channel)
        #expect(channel.isActive)
        Self.pass(1, channel)
        #expect(!channel.isActive)
    }

    @Test func `any other answer is to be taken as a whole in its time`() throws {
        let channel = try Self.answering("application/json")
        for _ in 0..<2 {
            Self.write(channel)
            channel.flush()
            Self.pass(1, channel)
        }
        #expect(channel.isActive)
        Self.pass(1, channel)
        #expect(!channel.isActive)
    }
}
