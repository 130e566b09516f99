// SPDX-License-Identifier: Apache-2.0
internal import DataPlane
internal import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import NIOCore

// What requests mean: from the words on the wire to changes and filters.

extension ServiceUpdateBody {
    /// The update that is asked for.
    ///
    /// - Throws: ``ChangeRefused`` for what is no address, mode or number.
    func update(_ service: ServiceReference) throws(ChangeRefused) -> ServiceUpdate {
        var configurations: [BackendConfiguration] = []
        for (index, text) in backends.enumerated() {
            guard let endpoint = Endpoint(text) else {
                throw ChangeRefused(
                    kind: .invalid, code: "backend",
                    message: "backend '\(text)' is not an IP or IP:PORT. Nothing was changed",
                    location: "backends[\(index)]")
            }
            configurations.append(
                BackendConfiguration(address: endpoint.address, port: endpoint.port))
        }
        var update = ServiceUpdate(service: service, backends: configurations)
        update.name = name
        update.snatPool = snatPool
        if let mode { update.mode = try ModeBody(mode: mode).forwardingMode() }
        if let seconds = drainTimeoutSeconds {
            guard (0...31_536_000).contains(seconds) else {
                throw ChangeRefused(
                    kind: .invalid, code: "drain_timeout",
                    message: """
                        a drain timeout of \(seconds) s is not within 0 s and a year. Nothing was \
                        changed
                        """,
                    location: "drain_timeout_seconds")
            }
            update.drainTimeout = .milliseconds(Int64(seconds * 1000))
        }
        return update
    }
}

extension ModeBody {
    /// The mode that is asked for.
    ///
    /// - Throws: ``ChangeRefused`` when the word is none.
    func forwardingMode() throws(ChangeRefused) -> ForwardingMode {
        guard let known = ForwardingMode(mode) else {
            throw ChangeRefused(
                kind: .invalid, code: "mode",
                message: "mode '\(mode)' is neither dsr nor snat. Nothing was changed",
                location: "mode")
        }
        return known
    }
}

extension ReloadBody {
    /// How long the reload may be confirmed; `nil` when it need not be.
    func confirmation() throws(ChangeRefused) -> Duration? {
        guard let seconds = confirmSeconds else { return nil }
        guard (1...86_400).contains(seconds) else {
            throw ChangeRefused(
                kind: .invalid, code: "confirm",
                message: "a time of \(seconds) s is not within 1 s and a day. Nothing was changed",
                location: "confirm_seconds")
        }
        return .milliseconds(Int64(seconds * 1000))
    }
}

extension BackendBody {
    /// The change that is asked for.
    ///
    /// - Throws: ``ChangeRefused`` when it is none, both, or of unknown words.
    func change(_ backend: BackendReference) throws(ChangeRefused) -> Change {
        switch (adminState, weight) {
        case (let state?, nil):
            guard let known = AdminState(rawValue: state) else {
                throw ChangeRefused(
                    kind: .invalid, code: "admin_state",
                    message: """
                        admin state '\(state)' is not one of active, draining, disabled. Nothing was \
                        changed
                        """,
                    location: "admin_state")
            }
            return .setAdminState(backend, known)
        case (nil, let weight?):
            guard let known = UInt16(exactly: weight) else {
                throw ChangeRefused(
                    kind: .invalid, code: "weight",
                    message: "weight \(weight) is outside 0...65535. Nothing was changed",
                    location: "weight")
            }
            return .setWeight(backend, known)
        default:
            throw ChangeRefused(
                kind: .invalid, code: "body",
                message: "give either admin_state or weight. Nothing was changed")
        }
    }
}

/// A body over what its route takes.
struct BodyTooLarge: Error {
    /// In bytes.
    let limit: Int
}

extension Request {
    /// The generation that a change is meant for: the number in `If-Match`; `nil` means any.
    ///
    /// - Throws: ``ChangeRefused`` when it is no number.
    var expectedGeneration: UInt64? {
        get throws(ChangeRefused) {
            guard let condition = headers[.ifMatch] else { return nil }
            guard let wanted = UInt64(condition.filter { $0 != "\"" }) else {
                throw ChangeRefused(
                    kind: .invalid, code: "if_match",
                    message: "If-Match '\(condition)' is not a generation. Nothing was changed")
            }
            return wanted
        }
    }

    /// The body of a change.
    ///
    /// - Throws: ``ChangeRefused`` when it is no such document, or has members that nobody knows.
    func body<Body: ChangeBody>(
        _ type: Body.Type, _ context: AdminContext
    ) async throws -> Body {
        try await self.body(type, upTo: context.maxUploadSize)
    }

    /// The body of a change that may be larger than others.
    func body<Body: ChangeBody>(_ type: Body.Type, upTo byteCount: Int) async throws -> Body {
        let buffer: ByteBuffer
        do {
            buffer = try await body.collect(upTo: byteCount)
        } catch is NIOTooManyBytesError {
            throw BodyTooLarge(limit: byteCount)
        }
        let data = Data(buffer.readableBytesView)
        do {
            let given = try JSONSerialization.jsonObject(with: data) as? [String: Any]
            if let unknown = given?.keys.filter({ !Body.members.contains($0) }).min() {
                throw ChangeRefused(
                    kind: .invalid, code: "body",
                    message: """
                        the body has an unknown member '\(unknown)' (known: \
                        \(Body.members.sorted().joined(separator: ", "))). Nothing was changed
                        """,
                    location: unknown)
            }
            return try AdminJSON.decode(type, from: data)
        } catch let refusal as ChangeRefused {
            throw refusal
        } catch let error as DecodingError {
            throw ChangeRefused(
                kind: .invalid, code: "body",
                message: "the body is not as it should be: \(error.brief). Nothing was changed")
        } catch {
            throw ChangeRefused(
                kind: .invalid, code: "body",
                message: "the body is not a JSON document. Nothing was changed")
        }
    }
}

extension AdminContext {
    /// The service that the path names.
    var service: ServiceReference {
        get throws { ServiceReference(try member("service")) }
    }

    /// A part of the path, without its percent-encoding.
    func member(_ name: String) throws -> String {
        let raw = try parameters.require(name)
        return raw.removingPercentEncoding ?? raw
    }
}

extension DecodingError {
    /// What is wrong in a few words.
    fileprivate var brief: String {
        func path(_ context: Context) -> String {
            let path = context.codingPath.map { $0.intValue.map { "\($0)" } ?? $0.stringValue }
            return path.isEmpty ? "the document" : "'\(path.joined(separator: "."))'"
        }
        return switch self {
        case .keyNotFound(let key, _): "'\(key.stringValue)' is missing"
        case .typeMismatch(_, let context), .valueNotFound(_, let context):
            "\(path(context)) is of another type"
        case .dataCorrupted(let context): "\(path(context)) cannot be read"
        @unknown default: "\(self)"
        }
    }
}
