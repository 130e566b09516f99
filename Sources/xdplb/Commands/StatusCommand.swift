// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import ControlPlane

/// The command `xdplb status`.
struct StatusCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show on one screen whether all is well, the worst first.",
        discussion: "For example:  xdplb status; xdplb status -o json")

    @OptionGroup var watch: WatchOptions
    @OptionGroup var socket: SocketOptions
    @OptionGroup var output: OutputOptions

    func run() throws { try watch(show) }

    private func show() throws {
        let status = try socket.client.get(StatusDocument.self, "/api/v1/status")
        if output.format == .json { return try output.printJSON(status) }
        print(
            """
            \(status.node)  xdplb \(status.version)  \(status.state)  up \
            \(Scaled.duration(status.uptimeSeconds))  generation \(status.generation) \
            applied \(Self.clock(status.appliedAt))\(acknowledgement(status))
            """)
        status.problems.forEach { print("problem       \(Colour.bad($0))") }
        printServices(status)
        printDrops(status)
        printData(status)
        if let refused = status.reloadRefused {
            print("reload        \(Colour.bad("refused")): \(refused.prefix { $0 != "\n" })")
        }
        if let until = status.confirmUntil {
            print("confirm       undone at \(until) unless 'xdplb reload' is given again")
        }
        let file = ["same": "same as running", "differs": "running differs from the file"]
        print("file          \(file[status.file] ?? "none; started from arguments")")
    }

    private func acknowledgement(_ status: StatusDocument) -> String {
        let behind = status.workers.filter { $0.generation < status.generation }
        return behind.isEmpty
            ? ", all workers acknowledged"
            : ", workers \(behind.map { "\($0.worker)" }.joined(separator: ", ")) are behind"
    }

    private func printServices(_ status: StatusDocument) {
        let down = status.services.filter { !$0.up }
        let degraded = status.services.filter(\.isDegraded)
        let counts = [(down.count, "down"), (degraded.count, "degraded")].filter { $0.0 > 0 }
            .map { ", \($0.0) \($0.1)" }.joined()
        print("services      \(status.services.count)\(counts)")
        for service in down + degraded {
            let text =
                "\(service.eligible) of \(service.backends) backends eligible"
                + (service.up ? "" : ", down")
            let colour = service.up ? Colour.unusual : .bad
            print("  \(service.name): \(colour(text))\(Self.reasons(service, at: status.time))")
        }
    }

    /// Which backends get nothing, why, and for how long.
    private static func reasons(_ service: ServiceStateDocument, at now: String) -> String {
        let shown = service.ineligible.prefix(4)
        let more = service.backends - service.eligible - shown.count
        let words =
            shown.map { "\($0.name) \($0.reason) (\(Scaled.since($0.since, at: now)))" }
            + (more > 0 ? ["and \(more) more"] : [])
        return words.isEmpty ? "" : ": " + words.joined(separator: ", ")
    }

    private func printDrops(_ status: StatusDocument) {
        let current = status.dropsPerSecond.sorted { $0.value > $1.value }
            .map { "\(Scaled.number($0.value)) /s \($0.key)" }
        let totals = status.drops.sorted { $0.value > $1.value }.map { "\($0.value) \($0.key)" }
        let now = current.isEmpty ? "none now" : Colour.unusual(current.joined(separator: ", "))
        print("drops         \(now)\(totals.isEmpty ? "" : "; since the start ")", terminator: "")
        print(totals.joined(separator: ", "))
    }

    /// The time of day of a document's time, in UTC.
    private static func clock(_ time: String) -> Substring { time.dropFirst(11).prefix(8) }

    private func printData(_ status: StatusDocument) {
        let interface = status.interface
        print(
            """
            interface     \(interface.name) \(interface.driver) \(interface.attachMode) \
            \(interface.bindMode), \(interface.queues.count) \
            queue\(interface.queues.count == 1 ? "" : "s"): in \
            \(Scaled.number(interface.rxPacketsPerSecond)) packets/s, out \
            \(Scaled.number(interface.txPacketsPerSecond)) packets/s, ring losses \
            \(interface.ringLosses)
            """)
        for worker in status.workers {
            print(
                """
                worker \(worker.worker)      queue \(worker.queue) on \
                \(worker.cpu.map { "cpu \($0)" } ?? "any cpu"), busy \
                \(Scaled.percent(worker.busyShare)), \(worker.packetsPerBatch) packets a batch, \
                \(worker.packetsPerWakeup) a wake-up
                """)
        }
        print("connections   \(status.connections.used) of \(status.connections.capacity)")
        let memory = status.memory
        print(
            """
            memory        \(Scaled.bytes(memory.umemBytes + memory.tableBytes)), fixed at start \
            on \(memory.hugePages ? "huge" : "ordinary") pages: UMEM \
            \(Scaled.bytes(memory.umemBytes)), tables \(Scaled.bytes(memory.tableBytes))
            """)
    }
}
