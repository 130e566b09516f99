// SPDX-License-Identifier: Apache-2.0
public import DataPlane

/// A change of what is wanted, as a command asks for it.
public enum Change: Equatable, Sendable {
    /// Creates a service, or replaces its backends.
    case updateService(ServiceUpdate)
    /// Deletes a service; with `drain` only when its connections have ended.
    case deleteService(ServiceReference, drain: Bool)
    /// Sets what the operator declares of a backend.
    case setAdminState(BackendReference, AdminState)
    /// Sets a backend's weight.
    case setWeight(BackendReference, UInt16)
    /// Sets how new connections of a service are forwarded.
    case setMode(ServiceReference, ForwardingMode)
}

/// A service by its name or by one of its keys.
public enum ServiceReference: Hashable, Sendable, CustomStringConvertible {
    /// Its name.
    case name(String)
    /// `VIP:PORT/PROTOCOL`.
    case key(ServiceKey)

    /// Reads a key where the text is one, else a name.
    public init(_ text: String) {
        self = ServiceKey(text).map(ServiceReference.key) ?? .name(text)
    }

    /// As it was given.
    public var description: String {
        switch self {
        case .name(let name): name
        case .key(let key): key.description
        }
    }
}

/// A backend of a service by its name or by its address with optional port.
public struct BackendReference: Hashable, Sendable {
    /// The service.
    public var service: ServiceReference
    /// The backend's name, `ADDRESS` or `ADDRESS:PORT`.
    public var backend: String

    /// A reference of its two parts.
    public init(service: ServiceReference, backend: String) {
        self.service = service
        self.backend = backend
    }

    /// Reads `SERVICE/BACKEND`, where SERVICE may be `VIP:PORT/PROTOCOL`: the last slash divides.
    ///
    /// `nil` without a slash.
    public init?(_ text: String) {
        guard let slash = text.lastIndex(of: "/"), slash != text.startIndex else { return nil }
        let backend = String(text[text.index(after: slash)...])
        guard !backend.isEmpty else { return nil }
        self.init(service: ServiceReference(String(text[..<slash])), backend: backend)
    }
}

/// What `service update` asks for.
public struct ServiceUpdate: Equatable, Sendable {
    /// Which service; a key that no service has makes a new one.
    public var service: ServiceReference
    /// Name of a new service; `nil` means its key.
    public var name: String?
    /// Its backends from now on.
    public var backends: [BackendConfiguration]
    /// Its mode; `nil` leaves it, and means the default for a new one.
    public var mode: ForwardingMode?
    /// Its SNAT pool; `nil` leaves it.
    public var snatPool: String?
    /// How long connections of removed backends are kept; `nil` means the service's own time.
    public var drainTimeout: Duration?

    /// An update of a service's backends.
    public init(service: ServiceReference, backends: [BackendConfiguration]) {
        self.service = service
        self.backends = backends
    }
}

/// What a change did, or would do.
public struct ChangeReport: Equatable, Sendable {
    /// What was done, a sentence a line; the first names the object.
    public var lines: [String]
    /// The generation that has it.
    public var generation: UInt64
    /// Whether it was only tried.
    public var isDryRun: Bool
    /// Workers that acknowledged, all there are.
    public var workers: Int
    /// Time from publishing to the last acknowledgement.
    public var took: Duration
    /// Slots of Maglev tables that changed owner.
    public var movedSlots: Int
    /// Connections that were ended.
    public var endedConnections: Int

    /// A report of its parts.
    public init(
        lines: [String], generation: UInt64, isDryRun: Bool, workers: Int, took: Duration,
        movedSlots: Int, endedConnections: Int
    ) {
        self.lines = lines
        self.generation = generation
        self.isDryRun = isDryRun
        self.workers = workers
        self.took = took
        self.movedSlots = movedSlots
        self.endedConnections = endedConnections
    }
}

/// Why a change was not made; nothing was changed.
public struct ChangeRefused: Error, Equatable, CustomStringConvertible {
    /// What kind of refusal, which decides HTTP status and exit code.
    public enum Kind: Sendable {
        /// The change makes no sense: 400, exit 2.
        case invalid
        /// It names what does not exist: 404, exit 3.
        case notFound
        /// It contradicts what is there: 409, exit 3.
        case conflict
        /// Somebody else was faster: 412, exit 3.
        case superseded
        /// The data path did not take it: 500, exit 3.
        case failed
    }

    /// What kind of refusal.
    public var kind: Kind
    /// A word for programs, such as `port_translation_in_dsr`.
    public var code: String
    /// Fact, consequence, remedy.
    public var message: String
    /// Which part of the change, such as `services.dns.backends[0]`; `nil` when all of it.
    public var location: String?

    /// A refusal of its parts.
    public init(kind: Kind, code: String, message: String, location: String? = nil) {
        self.kind = kind
        self.code = code
        self.message = message
        self.location = location
    }

    /// The message.
    public var description: String { message }

    /// A refusal of what was meant for a generation that is not the one that runs.
    static func superseded(_ wanted: UInt64, by current: UInt64) -> ChangeRefused {
        ChangeRefused(
            kind: .superseded, code: "generation",
            message: """
                generation \(wanted) is outdated, the current one is \(current). Nothing was \
                changed: read the state again, and repeat
                """)
    }
}
