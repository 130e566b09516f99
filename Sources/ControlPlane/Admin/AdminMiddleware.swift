// SPDX-License-Identifier: Apache-2.0
internal import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import NIOCore

/// Turns every failure into a document with a code and a message.
struct AdminErrors: RouterMiddleware {
    /// Whether only GET and HEAD are served.
    let isReadOnly: Bool
    /// What is served.
    let routes: [AdminRoute]

    func handle(
        _ request: Request, context: AdminContext,
        next: (Request, AdminContext) async throws -> Response
    ) async throws -> Response {
        if isReadOnly, request.method != .get, request.method != .head {
            var response = Self.response(
                .methodNotAllowed, "read_only",
                "nothing can be changed over TCP; use the admin socket")
            response.headers[.allow] = "GET, HEAD"
            return response
        }
        do {
            return try await next(request, context)
        } catch let refusal as ChangeRefused {
            return Self.response(
                refusal.kind.status, refusal.code, refusal.message, refusal.location)
        } catch let error as HTTPError {
            if error.status == .notFound, let refusal = refuseMethod(of: request) {
                return refusal
            }
            return Self.response(
                error.status, "http",
                error.body ?? "\(error.status.reasonPhrase): \(request.uri.path)")
        } catch let error as BodyTooLarge {
            return Self.response(
                .contentTooLarge, "too_large",
                """
                the body is over \(error.limit) bytes, the most that \(request.uri.path) takes. \
                Nothing was changed
                """)
        } catch {
            return Self.response(.internalServerError, "internal", "\(error)")
        }
    }

    /// What is said where a path is served, but not with this method; `nil` where it is not.
    private func refuseMethod(of request: Request) -> Response? {
        let methods = Set(
            routes.filter { $0.matches(request.uri.path) }.flatMap { route in
                route.method == .get ? ["GET", "HEAD"] : [route.method.rawValue]
            })
        guard !methods.isEmpty, !methods.contains(request.method.rawValue) else { return nil }
        let list = methods.sorted().joined(separator: ", ")
        var response = Self.response(
            .methodNotAllowed, "method",
            "\(request.method.rawValue) is not what \(request.uri.path) takes: \(list)")
        response.headers[.allow] = list
        return response
    }

    static func response(
        _ status: HTTPResponse.Status, _ code: String, _ message: String,
        _ location: String? = nil
    ) -> Response {
        Response(
            status: status, headers: [.contentType: "application/json; charset=utf-8"],
            body: .init(byteBuffer: document(code, message, location)))
    }

    /// What the body of a refusal says.
    static func document(
        _ code: String, _ message: String, _ location: String? = nil
    ) -> ByteBuffer {
        let document = ErrorDocument(
            error: .init(code: code, message: message, where: location))
        return ByteBuffer(bytes: (try? AdminJSON.encode(document)) ?? Data())
    }
}

/// Lets in who may look or change, by the credentials of the socket's peer.
struct AdminAccess: RouterMiddleware {
    let admin: AdminConfiguration

    func handle(
        _ request: Request, context: AdminContext,
        next: (Request, AdminContext) async throws -> Response
    ) async throws -> Response {
        let peer = try await context.peer()
        let own = geteuid()
        let mayChange =
            peer.user == 0 || peer.user == own || peer.isMember(of: admin.changeGroup)
        let isRead = request.method == .get || request.method == .head
        guard mayChange || isRead && peer.isMember(of: admin.readGroup) else {
            let need = isRead ? admin.readGroup ?? admin.changeGroup : admin.changeGroup
            let remedy =
                need.map { "root or membership of group '\($0)' is required" } ?? "only root may"
            let refused = isRead ? "read the admin API" : "change anything"
            return AdminErrors.response(
                .forbidden, "forbidden", "user \(peer.name) may not \(refused); \(remedy)")
        }
        return try await next(request, context)
    }
}

extension ChangeRefused.Kind {
    fileprivate var status: HTTPResponse.Status {
        switch self {
        case .invalid: .badRequest
        case .notFound: .notFound
        case .conflict: .conflict
        case .superseded: .preconditionFailed
        case .failed: .internalServerError
        }
    }
}
