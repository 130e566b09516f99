// SPDX-License-Identifier: Apache-2.0
internal import DataPlane
internal import Foundation
internal import HTTPTypes
internal import Hummingbird

/// Refuses requests for a host whose name is not one of ours.
///
/// A page of a stranger can give its own name the address of the load balancer (DNS rebinding);
/// the operator's browser would then let it read what is served here. Such a request names the
/// stranger's host. An address is no name that could be given another one, so it is taken.
struct AdminHostCheck: RouterMiddleware {
    /// Asked by scrapers and supervisors, under any name that leads here.
    private static let anyHost: Set = ["/metrics", "/healthz", "/readyz"]

    let control: any ControlPlaneService

    func handle(
        _ request: Request, context: AdminContext,
        next: (Request, AdminContext) async throws -> Response
    ) async throws -> Response {
        // A browser always says which host it asks for.
        guard let authority = request.head.authority, !Self.anyHost.contains(request.uri.path)
        else { return try await next(request, context) }
        let host = Self.host(of: authority)
        if Self.isAddress(host) || Self.localNames.contains(host) {
            return try await next(request, context)
        }
        let node = await control.view().configuration.nodeName
        if host == node?.lowercased() { return try await next(request, context) }
        return AdminErrors.response(
            .misdirectedRequest, "host",
            """
            '\(host.prefix(253))' is not a name of this load balancer: ask by its address or as \
            \(node ?? ProcessInfo.processInfo.hostName), or give it that name \
            ('node: {name: …}')
            """)
    }

    private static let localNames: Set = [
        "localhost", ProcessInfo.processInfo.hostName.lowercased(),
    ]

    /// The host of `HOST[:PORT]`, in lower case and without the brackets of IPv6.
    static func host(of authority: String) -> String {
        if authority.hasPrefix("["), let end = authority.firstIndex(of: "]") {
            return authority[..<end].dropFirst().lowercased()
        }
        let host = authority.prefix { $0 != ":" }.lowercased()
        return host.hasSuffix(".") ? String(host.dropLast()) : host
    }

    static func isAddress(_ host: String) -> Bool { IPAddress(host) != nil }
}
