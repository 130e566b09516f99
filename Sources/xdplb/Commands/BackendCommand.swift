// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import ControlPlane
import Foundation

/// The command `xdplb backend list|drain|undrain|disable|weight`.
struct BackendCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "backend",
        abstract: "List backends, drain, disable or weigh them.",
        discussion: """
            BACKEND is SERVICE/NAME or SERVICE/ADDRESS[:PORT]. For example:
              xdplb backend drain web/20.1.1.10:80 --wait
            """,
        subcommands: [List.self, Drain.self, Undrain.self, Disable.self, Weight.self])

    static func table(_ backends: [BackendDocument]) -> TableText {
        var table = TableText(
            "BACKEND", "ADDRESS", "ADMIN", "HEALTH", "ELIGIBLE", "SINCE", "PROBE", ">WEIGHT",
            ">SHARE", ">PACKETS/S", ">CONNECTIONS", "CHANGED BY")
        for backend in backends {
            table.add(
                backend.name, backend.address, backend.removed ? "removed" : backend.adminState,
                health(backend), eligibility(backend), Scaled.since(backend.since),
                backend.probe ?? "-", "\(backend.weight)", Scaled.percent(backend.share),
                Scaled.number(backend.packetsPerSecond),
                Scaled.number(Double(backend.connections)), backend.changedBy ?? "-")
        }
        return table
    }

    private static func health(_ backend: BackendDocument) -> String {
        backend.health == BackendHealth.unhealthy.rawValue
            ? Colour.bad(backend.health) : backend.probe == nil ? "-" : backend.health
    }

    private static func eligibility(_ backend: BackendDocument) -> String {
        if backend.eligible { return "yes" }
        let colour = backend.adminState == AdminState.active.rawValue ? Colour.bad : .unusual
        return colour(backend.reason.map { "no, \($0)" } ?? "no")
    }

    /// Splits at the last slash, as a service may be VIP:PORT/PROTOCOL.
    static func target(_ backend: String) throws -> String {
        guard let reference = BackendReference(backend) else {
            throw CommandFailure(
                .invalid, "'\(backend)' is not SERVICE/BACKEND, such as web/20.1.1.10:80")
        }
        let service = reference.service.description.escapedForURL
        return "/api/v1/services/\(service)/backends/\(reference.backend.escapedForURL)"
    }

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List the backends of all services, or of one.",
            discussion: "For example:  xdplb backend list web")

        @Argument(help: "Name or VIP:PORT/PROTOCOL; all services unless given.")
        var service: String?
        @OptionGroup var watch: WatchOptions
        @OptionGroup var socket: SocketOptions
        @OptionGroup var output: OutputOptions

        func run() throws { try watch(show) }

        private func show() throws {
            let target = service.map { "/api/v1/services/\($0.escapedForURL)/backends" }
            let list = try socket.client.get(
                BackendListDocument.self, target ?? "/api/v1/backends")
            try output.print(list) { BackendCommand.table(list.backends) }
        }
    }

    /// The backend that is changed, and how.
    struct Target: ParsableArguments {
        @Argument(help: "SERVICE/NAME or SERVICE/ADDRESS[:PORT].") var backend: String
        @OptionGroup var socket: SocketOptions
        @OptionGroup var change: ChangeOptions

        /// Makes a change, and prints what it did.
        func send(_ body: BackendBody) throws {
            try change.print(
                try socket.client.change(
                    "PATCH", try BackendCommand.target(backend) + change.query, body))
        }

        /// Sets the admin state, and waits for the end of connections if that is asked for.
        func set(_ state: AdminState, _ options: WaitOptions, until end: String) throws {
            let seconds = try options.seconds(isDryRun: change.dryRun)
            try send(BackendBody(adminState: state.rawValue))
            guard let seconds else { return }
            var waiting = Waiting(
                for: backend, "backend=\(backend.escapedForURL)", client: socket.client,
                longest: seconds)
            try waiting.run(until: end, isJSON: change.isJSON)
        }
    }

    struct Drain: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Give a backend no new connections; it keeps those it has.",
            discussion: """
                With --wait the command ends when it has none left. For example:
                  xdplb backend drain web/20.1.1.10:80 --wait --timeout 10m
                """)

        @OptionGroup var target: Target
        @OptionGroup var waiting: WaitOptions

        func run() throws { try target.set(.draining, waiting, until: "drained") }
    }

    struct Undrain: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make a backend active again, from draining or disabled.",
            discussion: "For example:  xdplb backend undrain web/20.1.1.10:80")

        @OptionGroup var target: Target

        func run() throws { try target.send(BackendBody(adminState: AdminState.active.rawValue)) }
    }

    struct Disable: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Give a backend no packet any more; its connections end.",
            discussion: """
                Prints how many ended. 'backend undrain' makes it active again. For example:
                  xdplb backend disable web/20.1.1.10:80
                """)

        @OptionGroup var target: Target
        @OptionGroup var waiting: WaitOptions

        func run() throws { try target.set(.disabled, waiting, until: "disabled") }
    }

    struct Weight: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Set a backend's share of new connections, 0-65535.",
            discussion: "For example:  xdplb backend weight web/20.1.1.10:80 50")

        @OptionGroup var target: Target
        @Argument(help: "Relative to the other backends; 0 gives none.") var weight: Int

        func run() throws { try target.send(BackendBody(weight: weight)) }
    }
}
