// SPDX-License-Identifier: Apache-2.0
internal import DataPlane

/// What a document's types do not say of its members: words, bounds, formats.
enum SchemaFacts {
    static let connectionStates: JSONValue = words(
        ConnectionState.allCases.filter { $0 != .free }.map(\.token))
    private static let modes: JSONValue = ["dsr", "snat"]
    private static let adminStates = words(AdminState.allCases.map(\.rawValue))
    private static let time: JSONValue = ["format": "date-time"]
    private static let share: JSONValue = ["minimum": 0, "maximum": 1]

    private static func words(_ words: [String]) -> JSONValue {
        .array(words.map(JSONValue.string))
    }

    /// Notes them all.
    static func add(to book: SchemaBook) {
        book.refine(StatusDocument.self, "state", with: ["enum": ["serving", "stopping"]])
        book.refine(StatusDocument.self, "file", with: ["enum": ["same", "differs", "none"]])
        book.refine(StatusDocument.self, "applied_at", with: time)
        book.refine(InterfaceDocument.self, "attach_mode", with: ["enum": ["native", "generic"]])
        book.refine(InterfaceDocument.self, "bind_mode", with: ["enum": ["zerocopy", "copy"]])
        book.refine(WorkerDocument.self, "busy_share", with: share)
        book.refine(ServiceDocument.self, "mode", with: ["enum": modes])
        book.refine(BackendDocument.self, "admin_state", with: ["enum": adminStates])
        book.refine(BackendDocument.self, "share", with: share)
        book.refine(BackendDocument.self, "since", with: time)
        book.refine(MaglevDocument.Share.self, "share", with: share)
        book.refine(NeighbourDocument.self, "since", with: time)
        book.refine(ConnectionDocument.self, "mode", with: ["enum": modes])
        book.refine(ConnectionDocument.self, "state", with: ["enum": connectionStates])
        book.refine(
            TraceDocument.self, "verdict", with: ["enum": ["tx", "drop", "pass", "wait"]])

        book.refine(ModeBody.self, "mode", with: ["enum": modes])
        book.refine(ServiceUpdateBody.self, "mode", with: ["enum": ["dsr", "snat", .null]])
        book.refine(
            ServiceUpdateBody.self, "drain_timeout_seconds",
            with: ["minimum": 0, "maximum": 31_536_000])
        book.refine(
            ServiceUpdateBody.self, "backends",
            with: [
                "description": "IP or IP:PORT each, IPv6 with a port in brackets",
                "examples": [["20.1.1.10:80", "20.1.1.20:80"]],
            ])
        book.refine(
            BackendBody.self, "admin_state",
            with: ["enum": .array(adminStates.elements + [.null])])
        book.refine(BackendBody.self, "weight", with: ["minimum": 0, "maximum": 65_535])
        book.refine(
            TraceRequest.self, "flow",
            with: [
                "description": "'tcp|udp SOURCE:PORT > VIP:PORT' or 'icmp SOURCE > VIP'",
                "examples": ["tcp 10.0.0.9:4444 > 40.1.1.1:80"],
            ])
    }
}
