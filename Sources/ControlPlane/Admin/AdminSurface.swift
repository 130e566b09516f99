// SPDX-License-Identifier: Apache-2.0
internal import HTTPTypes
internal import Hummingbird
internal import Logging
internal import NIOCore
internal import NIOEmbedded

/// The whole admin API without a listener and without a peer: for tests and fuzzing.
package struct AdminSurface: Sendable {
    private let responder: RouterResponder<AdminContext>
    /// Nobody is at its other end; one for all, as it is never closed.
    private static let channel: any Channel = EmbeddedChannel()

    /// The API of a control plane and its data path.
    package init(_ control: any ControlPlaneService, _ dataPlane: any DataPlaneHandle) {
        let handlers = AdminHandlers(
            control: control, dataPlane: dataPlane, admin: AdminConfiguration(),
            state: AdminRuntime(
                events: EventLog(Logger(label: "admin") { _ in SwiftLogNoOpLogHandler() })),
            build: BuildFacts(version: "test", commit: "unknown"))
        let router = Router(context: AdminContext.self)
        router.add(middleware: AdminErrors(isReadOnly: false, routes: handlers.routes))
        for route in handlers.routes {
            router.on(RouterPath(route.path), method: route.method, use: route.handler)
        }
        responder = router.buildResponder()
    }

    /// The status that a request is answered with; `nil` when it is no request that HTTP knows.
    package func status(of method: String, _ target: String, _ body: String) async -> Int? {
        guard let method = HTTPRequest.Method(rawValue: method), target.hasPrefix("/") else {
            return nil
        }
        let head = HTTPRequest(method: method, scheme: "http", authority: "localhost", path: target)
        let request = Request(head: head, body: .init(buffer: ByteBuffer(string: body)))
        let context = AdminContext(
            source: ApplicationRequestContextSource(
                channel: Self.channel,
                logger: Logger(label: "admin") { _ in SwiftLogNoOpLogHandler() }))
        do {
            return try await responder.respond(to: request, context: context).status.code
        } catch let error as any HTTPResponseError {
            return error.status.code
        } catch {
            return 500
        }
    }
}
