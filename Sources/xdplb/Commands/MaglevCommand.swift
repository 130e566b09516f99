// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import ControlPlane

/// The command `xdplb maglev show`.
struct MaglevCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "maglev",
        abstract: "Show how new connections are shared among backends.",
        subcommands: [Show.self])

    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show a service's Maglev table: shares and fingerprint.",
            discussion: """
                The fingerprint is equal on every load balancer with an equal table. For example:
                  xdplb maglev show 40.1.1.1:80/tcp
                """)

        @Argument(help: "Name or VIP:PORT/PROTOCOL.") var service: String
        @OptionGroup var socket: SocketOptions
        @OptionGroup var output: OutputOptions

        func run() throws {
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
}
