// SPDX-License-Identifier: Apache-2.0
internal import Foundation
internal import HTTPTypes
internal import Hummingbird

/// The page, what belongs to it, and the events that keep it up to date.
extension AdminHandlers {
    @Sendable func dashboard(_: Request, _: AdminContext) async -> Response {
        let page = DashboardPage(view: await documents().dashboard().page)
        return .page(page.html.markup, "text/html; charset=utf-8")
    }

    @Sendable func dashboardStyle(_: Request, _: AdminContext) -> Response {
        .page(DashboardStyle.css, "text/css; charset=utf-8")
    }

    @Sendable func dashboardScript(_: Request, _: AdminContext) -> Response {
        .page(DashboardScript.javascript, "text/javascript; charset=utf-8")
    }

    @Sendable func dashboardIcon(_: Request, _: AdminContext) -> Response {
        .page(DashboardStyle.icon, "image/svg+xml")
    }

    @Sendable func events(_: Request, _ context: AdminContext) -> Response {
        guard let client = state.hub.join(context.channel) else {
            return AdminErrors.response(
                .serviceUnavailable, "too_many_clients",
                state.isStopping
                    ? "the daemon is stopping"
                    : """
                    \(EventHub.maximumClients) clients listen already: close one of them, or ask \
                    for /api/v1/status from time to time
                    """)
        }
        return Response(
            status: .ok,
            headers: [
                .contentType: "text/event-stream", .cacheControl: "no-store",
                .xContentTypeOptions: "nosniff",
            ],
            // It holds the client: its place is free again when this is done or never done.
            body: .init { writer in try await client.write(to: &writer) })
    }

    /// Hands a document to everybody who listens.
    func publishEvents() async {
        await state.hub.publish { try AdminJSON.encodeLine(await documents().dashboard()) }
    }
}

extension Response {
    /// A part of the page, with what a browser must know to let nothing else in.
    fileprivate static func page(_ text: String, _ type: String) -> Response {
        Response(
            status: .ok,
            headers: [
                .contentType: type, .cacheControl: "no-cache",
                .contentSecurityPolicy: contentSecurityPolicy, .xContentTypeOptions: "nosniff",
                .xFrameOptions: "DENY", .referrerPolicy: "no-referrer",
                .crossOriginOpenerPolicy: "same-origin",
                .crossOriginResourcePolicy: "same-origin",
            ],
            body: .init(byteBuffer: ByteBuffer(string: text)))
    }

    /// Nothing but the page's own three files and its events; no script or style within it.
    private static let contentSecurityPolicy = """
        default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
        connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'
        """
}

extension HTTPField.Name {
    fileprivate static let xFrameOptions = known("X-Frame-Options")
    fileprivate static let referrerPolicy = known("Referrer-Policy")
    fileprivate static let crossOriginOpenerPolicy = known("Cross-Origin-Opener-Policy")

    private static func known(_ name: String) -> HTTPField.Name {
        guard let name = HTTPField.Name(name) else { preconditionFailure("'\(name)' is no name") }
        return name
    }
}
