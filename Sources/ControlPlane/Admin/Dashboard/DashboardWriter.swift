// SPDX-License-Identifier: Apache-2.0

/// Puts documents of the API into the words of the dashboard.
///
/// Every number on the page is formatted here and nowhere else.
struct DashboardWriter: Sendable {
    let status: StatusDocument
    let services: ServiceListDocument
    let backends: BackendListDocument
    let drops: DropsDocument
    let events: [EventDocument]

    /// The document of a moment.
    func document() -> DashboardDocument {
        let shownServices = Self.bounded(services.services, Self.shownServices, Self.isIll)
        let shownBackends = Self.bounded(backends.backends, Self.shownBackends, Self.isIll)
        return DashboardDocument(
            generation: status.generation, time: status.time, status: status,
            services: shownServices, backends: shownBackends, drops: drops.drops,
            events: Array(events.prefix(Self.shownEvents)),
            page: DashboardView(
                title: "\(status.node): \(state.text)", node: status.node, state: state,
                facts: facts, time: Self.timeOfDay(status.time), tiles: tiles,
                attention: attention, services: table(shownServices),
                backends: table(shownBackends), drops: dropTable, workers: workerTable,
                events: eventTable, setup: setup))
    }

    // MARK: Bounds

    // As many as a page of 60 kB has room for.
    static let shownServices = 20
    static let shownBackends = 50
    static let shownEvents = 12
    static let shownPhrases = 12

    static func isIll(_ service: ServiceDocument) -> Bool {
        !service.up || service.eligible < service.backends
    }

    static func isIll(_ backend: BackendDocument) -> Bool { !backend.eligible }

    /// All while there is room, in their order; else those that are ill before the others.
    private static func bounded<Element>(
        _ all: [Element], _ limit: Int, _ isIll: (Element) -> Bool
    ) -> [Element] {
        guard all.count > limit else { return all }
        return Array((all.filter(isIll) + all.filter { !isIll($0) }).prefix(limit))
    }

    /// Says how many are left out, and who lists them all.
    static func note(_ all: Int, _ shown: Int, _ what: String, _ command: String) -> String {
        if all == 0 { return "There is no \(what)." }
        return all > shown ? "\(all - shown) more: \(command)" : ""
    }

    // MARK: Is it serving?

    var state: DashboardView.Phrase {
        let all = status.services
        let down = all.count { !$0.up }
        let degraded = all.count(where: \.isDegraded)
        if status.state == "stopping" { return .init(text: "stopping", level: .warning) }
        if all.isEmpty { return .init(text: "not serving: there is no service", level: .warning) }
        if !status.ready { return .init(text: "not serving: every service is down", level: .bad) }
        if down > 0 {
            return .init(text: "serving, \(down) of \(all.count) services down", level: .bad)
        }
        if degraded > 0 {
            return .init(
                text: "serving, \(degraded) of \(all.count) services degraded", level: .warning)
        }
        return .init(
            text: status.problems.isEmpty ? "serving" : "serving, with problems",
            level: status.problems.isEmpty ? .ok : .bad)
    }

    private var facts: String {
        """
        xdplb \(status.version) · generation \(status.generation), applied \
        \(Self.timeOfDay(status.appliedAt)) · up \(Scaled.duration(status.uptimeSeconds))
        """
    }

    /// The time of day of a time of a document.
    static func timeOfDay(_ time: String) -> String {
        time.count == "2026-11-23T06:41:10Z".count ? "\(time.dropFirst(11).prefix(8)) UTC" : time
    }

    private var setup: String {
        let interface = status.interface
        let queues = interface.queues.count
        let memory = status.memory
        let file = [
            "same": "What runs is as in the file.", "differs": "What runs differs from the file.",
        ]
        return """
            \(interface.name): \(interface.driver), \(interface.attachMode) \
            \(interface.bindMode), \(queues) queue\(queues == 1 ? "" : "s"). Memory, fixed at \
            start: UMEM \(Scaled.bytes(memory.umemBytes)), tables \
            \(Scaled.bytes(memory.tableBytes)). \
            \(file[status.file] ?? "Started from arguments, without a file.")
            """
    }
}
