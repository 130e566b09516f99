// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import ControlPlane
import Foundation

/// The command `xdplb top`.
struct TopCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "top",
        abstract: "Watch rates, backends, drops and workers, live.",
        discussion: """
            Full screen on a terminal, the worst first, until Ctrl-C or q; a line a second when it is \
            piped. For example:
              xdplb top
              xdplb top --lines 60 >minute.txt
            """)

    @Option(help: ArgumentHelp("Time between two looks, such as 1s.", valueName: "time"))
    var every = "1s"
    @Option(help: ArgumentHelp("End after so many looks.", valueName: "n"))
    var lines: Int?
    @OptionGroup var socket: SocketOptions

    func validate() throws {
        if let lines, lines < 1 { throw ValidationError("--lines must be at least 1.") }
    }

    func run() throws {
        let seconds = max(try DurationText.seconds(every), 0.1)
        let client = socket.client
        Interrupt.watch()
        let screen = Terminal.isOutput ? try TerminalScreen() : nil
        defer { screen?.leave() }
        var looks = 0
        while !Interrupt.wasAsked {
            let view = try TopView(client)
            if let screen {
                screen.show(view.lines)
            } else {
                if looks == 0 { print(TopView.heading) }
                print(view.line)
                _ = fflush(nil)
            }
            looks += 1
            if looks == lines { return }
            if wait(seconds, screen) { return }
        }
    }

    /// Waits for the next look; says whether somebody asked for the end.
    private func wait(_ seconds: Double, _ screen: TerminalScreen?) -> Bool {
        let end = ContinuousClock.now + .seconds(seconds)
        while ContinuousClock.now < end {
            if Interrupt.wasAsked || screen?.wasAskedToEnd == true { return true }
            usleep(20_000)
        }
        return false
    }
}

/// One look at everything that changes.
struct TopView {
    private let status: StatusDocument
    private let services: [ServiceDocument]
    private let backends: [BackendDocument]
    private let drops: [DropsDocument.Reason]

    init(_ client: AdminClient) throws {
        status = try client.get(StatusDocument.self, "/api/v1/status")
        services = try client.get(ServiceListDocument.self, "/api/v1/services").services
        backends = try client.get(BackendListDocument.self, "/api/v1/backends").backends
        drops = try client.get(DropsDocument.self, "/api/v1/drops").drops
    }

    // MARK: A line

    static let heading = "TIME                  PACKETS/S   NEW/S  CONNECTIONS  DROPS/S  BUSY  ILL"

    /// The look as one line, all numbers in full.
    var line: String {
        let rate = services.reduce(0) { $0 + $1.packetsPerSecond }
        let fresh = services.reduce(0) { $0 + $1.newPerSecond }
        let lost = drops.reduce(0) { $0 + $1.perSecond }
        let busiest = status.workers.map(\.busyShare).max() ?? 0
        let numbers = [
            (rate, 9), (fresh, 6), (Double(status.connections.used), 11), (lost, 7),
        ].map { value, width in
            let text = String(format: "%.0f", value)
            return String(repeating: " ", count: max(0, width - text.count)) + text
        }
        return "\(status.time)  \(numbers.joined(separator: "  ")) "
            + String(format: "%4.0f%%", busiest * 100) + "  \(ill.count)"
    }

    /// Backends that should serve and do not.
    private var ill: [BackendDocument] {
        backends.filter { !$0.eligible && !$0.removed && $0.adminState == "active" }
    }

    // MARK: A screen

    /// The look as a screen, the worst first.
    var lines: [String] {
        var lines = [
            """
            \(status.node)  xdplb \(status.version)  \(status.state)  up \
            \(Scaled.duration(status.uptimeSeconds))  generation \(status.generation)  \(status.time)
            """
        ]
        lines += status.problems.map { Colour.bad("problem  \($0)") }
        lines += ill.map { backend in
            Colour.bad(
                "ill      \(backend.service)/\(backend.name): \(backend.reason ?? "not eligible")")
        }
        lines.append("")
        lines += rendered(serviceTable) + [""] + rendered(backendTable)
        let losing = drops.filter { $0.total > 0 }
            .sorted { ($0.perSecond, $0.total) > ($1.perSecond, $1.total) }
        if !losing.isEmpty { lines += [""] + rendered(dropTable(losing)) }
        return lines + [""] + rendered(workerTable)
    }

    private func rendered(_ table: TableText) -> [String] {
        table.rendered().split(separator: "\n").map(String.init)
    }

    private var serviceTable: TableText {
        var table = TableText(
            "SERVICE", "MODE", "ELIGIBLE", ">PACKETS/S", ">BIT/S", ">NEW/S", ">CONNECTIONS")
        for service in services.sorted(by: { $0.packetsPerSecond > $1.packetsPerSecond }) {
            let eligible = "\(service.eligible)/\(service.backends)"
            table.add(
                service.name, service.mode, service.up ? eligible : Colour.bad("\(eligible) down"),
                Scaled.number(service.packetsPerSecond), Scaled.number(service.bitsPerSecond),
                Scaled.number(service.newPerSecond), Scaled.number(Double(service.connections)))
        }
        return table
    }

    private var backendTable: TableText {
        var table = TableText("BACKEND", "STATE", ">SHARE", ">PACKETS/S", ">CONNECTIONS", "PROBE")
        for backend in backends.sorted(by: { $0.packetsPerSecond > $1.packetsPerSecond }) {
            table.add(
                "\(backend.service)/\(backend.name)",
                backend.removed
                    ? "removed" : backend.eligible ? backend.adminState : backend.reason ?? "?",
                Scaled.percent(backend.share), Scaled.number(backend.packetsPerSecond),
                Scaled.number(Double(backend.connections)), backend.probe ?? "-")
        }
        return table
    }

    private func dropTable(_ drops: [DropsDocument.Reason]) -> TableText {
        var table = TableText("DROPPED", ">/S", ">TOTAL")
        for drop in drops.prefix(8) {
            table.add(
                drop.reason, Scaled.number(drop.perSecond), Scaled.number(Double(drop.total)))
        }
        return table
    }

    private var workerTable: TableText {
        var table = TableText(
            "WORKER", "QUEUE", "CPU", ">BUSY", ">PACKETS/BATCH", ">PACKETS/WAKE-UP")
        for worker in status.workers {
            table.add(
                "\(worker.worker)", "\(worker.queue)", worker.cpu.map(String.init) ?? "any",
                Scaled.percent(worker.busyShare), "\(worker.packetsPerBatch)",
                "\(worker.packetsPerWakeup)")
        }
        return table
    }
}
