// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import ControlPlane

/// The command `xdplb maglev show|simulate`.
struct MaglevCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "maglev",
        abstract: "Show how new connections are shared among backends.",
        subcommands: [Show.self, Simulate.self])

    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show a service's Maglev table: shares and fingerprint.",
            discussion: """
                The fingerprint is equal on every load balancer with an equal table. For example:
                  xdplb maglev show 40.1.1.1:80/tcp
                """)

        @Argument(help: "Name or VIP:PORT/PROTOCOL.") var service: String
        @OptionGroup var watch: WatchOptions
        @OptionGroup var socket: SocketOptions
        @OptionGroup var output: OutputOptions

        func run() throws { try watch(show) }

        private func show() throws {
            let shown = try socket.client.get(
                MaglevDocument.self, "/api/v1/maglev/\(service.escapedForURL)")
            if output.format == .table, !output.noHeaders {
                print(
                    "\(shown.service): \(shown.slots) slots, fingerprint \(shown.fingerprint)")
            }
            try output.print(shown) {
                var table = TableText("BACKEND", "ADDRESS", ">WEIGHT", ">SLOTS", ">SHARE")
                for backend in shown.backends {
                    table.add(
                        backend.name, backend.address, "\(backend.weight)", "\(backend.slots)",
                        Scaled.percent(backend.share))
                }
                return table
            }
        }
    }

    struct Simulate: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Say what taking a backend out, or another weight, would move.",
            discussion: """
                Asks the daemon what it would do, and changes nothing. For example:
                  xdplb maglev simulate web --remove web-3
                  xdplb maglev simulate web --weight web-1=50
                """)

        @Argument(help: "Name or VIP:PORT/PROTOCOL.") var service: String
        @Option(help: ArgumentHelp("Backend that gets no new connections.", valueName: "backend"))
        var remove: String?
        @Option(help: ArgumentHelp("Backend and its weight.", valueName: "backend=n"))
        var weight: String?
        @OptionGroup var socket: SocketOptions
        @OptionGroup var output: FormatOptions

        func validate() throws {
            if (remove == nil) == (weight == nil) {
                throw ValidationError("Give either --remove BACKEND or --weight BACKEND=N.")
            }
        }

        func run() throws {
            let (backend, body) = try question()
            let target = try BackendCommand.target("\(service)/\(backend)")
            try output.print(
                try socket.client.change("PATCH", "\(target)?dry_run=true", body))
        }

        private func question() throws -> (backend: String, body: BackendBody) {
            if let remove { return (remove, BackendBody(adminState: AdminState.draining.rawValue)) }
            let parts = (weight ?? "").split(separator: "=", maxSplits: 1)
            guard parts.count == 2, let number = Int(parts[1]) else {
                throw CommandFailure(
                    .invalid, "'\(weight ?? "")' is not BACKEND=N, such as web-1=50")
            }
            return (String(parts[0]), BackendBody(weight: number))
        }
    }
}
