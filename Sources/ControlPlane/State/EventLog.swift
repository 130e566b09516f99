// SPDX-License-Identifier: Apache-2.0
public import Logging
internal import Synchronization
public import struct Foundation.Date

/// What happens to a load balancer that an operator wants to know of.
public enum EventKind: String, Sendable, CaseIterable {
    /// The data path runs.
    case started
    /// The daemon was told to stop.
    case stopping
    /// Every worker has a new generation.
    case generationApplied = "generation_applied"
    /// A file was not applied.
    case reloadRefused = "reload_refused"
    /// A reload that was to be confirmed was not, and is undone.
    case confirmExpired = "confirm_expired"
    /// Somebody changed what is declared of a backend.
    case backendAdminState = "backend_admin_state"
    /// Probes found a backend healthy or unhealthy.
    case backendHealth = "backend_health"
    /// Probes cannot be sent, or their answers not be heard.
    case probingFailed = "probing_failed"
    /// A removed backend's time is over.
    case backendRemoved = "backend_removed"
    /// A service has fewer eligible backends than it needs.
    case serviceWithoutBackend = "service_without_backend"
    /// It has enough of them again.
    case serviceRecovered = "service_recovered"
    /// The interface is down.
    case interfaceDown = "interface_down"
    /// It is up again.
    case interfaceUp = "interface_up"
    /// The kernel had more news of the network than could be read; all of it is read anew.
    case netlink
    /// A next hop does not answer.
    case nextHopFailed = "next_hop_failed"
    /// Connections were ended by a command.
    case connectionsFlushed = "connections_flushed"
    /// What was observed or retired could not be published.
    case publishFailed = "publish_failed"
    /// The state directory could not be read or written.
    case stateNotKept = "state_not_kept"
    /// The kernel lost frames, as a ring was full or empty.
    case ringLoss = "ring_loss"
    /// The connection tables are nearly full.
    case tablePressure = "table_pressure"
    /// A worker does nothing any more.
    case workerStuck = "worker_stuck"
    /// Somebody captures frames.
    case captureStarted = "capture_started"
    /// A capture is over.
    case captureEnded = "capture_ended"
}

/// How much an event concerns a person.
public enum EventLevel: String, Sendable {
    /// An ordinary change.
    case info
    /// An unusual one.
    case notice
    /// It may need somebody.
    case warning
    /// Something failed.
    case error

    fileprivate var logged: Logger.Level {
        switch self {
        case .info: .info
        case .notice: .notice
        case .warning: .warning
        case .error: .error
        }
    }
}

/// One event.
public struct ControlEvent: Sendable {
    /// Counts up from 1.
    public var number: UInt64
    /// When it happened.
    public var date: Date
    /// How much it concerns a person.
    public var level: EventLevel
    /// What happened.
    public var kind: EventKind
    /// To what, by whom and how, in the order of telling.
    public var fields: [(name: String, value: String)]

    /// All fields as `name=value`, for a person.
    public var text: String {
        fields.map { field in
            let isPlain = !field.value.isEmpty && !field.value.contains { " \"=\n".contains($0) }
            let value = isPlain ? field.value : "\"\(field.value)\""
            return "\(field.name)=\(value)"
        }.joined(separator: " ")
    }
}

/// Tells events to the log, and remembers the last ones for pages and commands.
public final class EventLog: Sendable {
    /// Events that are remembered.
    private static let capacity = 200

    private let log: Logger
    private let remembered = Mutex<(count: UInt64, events: [ControlEvent])>((0, []))

    /// An event log that also writes to `log`.
    public init(_ log: Logger) { self.log = log }

    /// Tells of an event.
    public func record(
        _ kind: EventKind, _ level: EventLevel = .info,
        _ fields: KeyValuePairs<String, String>
    ) {
        record(kind, level, fields.map { (name: $0.key, value: $0.value) })
    }

    /// Tells of an event whose fields are found out one by one.
    func record(
        _ kind: EventKind, _ level: EventLevel, _ fields: [(name: String, value: String)]
    ) {
        var metadata: Logger.Metadata = ["event": "\(kind.rawValue)"]
        for field in fields { metadata[field.name] = "\(field.value)" }
        log.log(level: level.logged, "\(kind.rawValue)", metadata: metadata)
        remembered.withLock { remembered in
            remembered.count += 1
            if remembered.events.count >= Self.capacity { remembered.events.removeFirst() }
            remembered.events.append(
                ControlEvent(
                    number: remembered.count, date: Date(), level: level, kind: kind,
                    fields: fields))
        }
    }

    /// The last events, the newest first.
    public func recent(_ limit: Int) -> [ControlEvent] {
        remembered.withLock { Array($0.events.suffix(limit).reversed()) }
    }
}
