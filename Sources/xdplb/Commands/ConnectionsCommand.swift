// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import ControlPlane

/// The command `xdplb connections list|count|flush`.
struct ConnectionsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "connections",
        abstract: "List, count or end tracked connections.",
        discussion: "For example:  xdplb connections list --service web --limit 10",
        subcommands: [List.self, Count.self, Flush.self])

    struct Filters: ParsableArguments {
        @Option(help: "Name or VIP:PORT/PROTOCOL.") var service: String?
        @Option(help: "SERVICE/NAME, or a name or address within --service.") var backend: String?
        @Option(help: "IP address.") var client: String?
        @Option(help: "opening, established, closing, closed, reset or udp.") var state: String?
        @Option(help: "Number of a worker.") var worker: Int?

        func query(_ more: [(String, String)] = []) -> String {
            let pairs: [(String, String?)] = [
                ("service", service), ("backend", backend), ("client", client), ("state", state),
                ("worker", worker.map(String.init)),
            ]
            let given = pairs.compactMap { name, value in value.map { (name, $0) } } + more
            guard !given.isEmpty else { return "" }
            return "?" + given.map { "\($0.0)=\($0.1.escapedForURL)" }.joined(separator: "&")
        }
    }

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List connections that match.",
            discussion: "For example:  xdplb connections list --client 198.51.100.9")

        @OptionGroup var filters: Filters
        @Option(help: "Most connections to list.") var limit = 1000
        @OptionGroup var watch: WatchOptions
        @OptionGroup var socket: SocketOptions
        @OptionGroup var output: OutputOptions

        func run() throws { try watch(show) }

        private func show() throws {
            let list = try socket.client.get(
                ConnectionListDocument.self,
                "/api/v1/connections" + filters.query([("limit", "\(limit)")]))
            try output.print(list) {
                var table = TableText(
                    "CLIENT", "VIP:PORT", "BACKEND", "MODE", "STATE", "SNAT", ">AGE", ">IDLE",
                    ">PACKETS", ">WORKER")
                for connection in list.connections {
                    table.add(
                        connection.client, connection.vip, connection.backend, connection.mode,
                        connection.state, connection.snat ?? "-",
                        Scaled.duration(connection.ageSeconds),
                        Scaled.duration(connection.idleSeconds), "\(connection.packets)",
                        "\(connection.worker)")
                }
                return table
            }
        }
    }

    struct Count: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Count connections that match.",
            discussion: "For example:  xdplb connections count --backend web/20.1.1.10:80")

        @OptionGroup var filters: Filters
        @OptionGroup var watch: WatchOptions
        @OptionGroup var socket: SocketOptions
        @OptionGroup var output: OutputOptions

        func run() throws { try watch(show) }

        private func show() throws {
            let count = try socket.client.get(
                ConnectionCountDocument.self, "/api/v1/connections/count" + filters.query())
            if output.format == .json { return try output.printJSON(count) }
            print(count.count)
        }
    }

    struct Flush: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "End connections that match.",
            discussion: """
                Prints how many ended. For example:
                  xdplb connections flush --service web --client 198.51.100.9
                """)

        @OptionGroup var filters: Filters
        @Flag(help: "End all connections.") var all = false
        @OptionGroup var socket: SocketOptions
        @OptionGroup var change: ChangeOptions

        func validate() throws {
            if filters.query().isEmpty && !all {
                throw ValidationError("Give a filter, or --all.")
            }
        }

        func run() throws {
            let client = socket.client
            let query = filters.query(
                (all ? [("all", "true")] : []) + (change.dryRun ? [("dry_run", "true")] : []))
            let flushed = try client.decode(
                FlushDocument.self, try client.send("DELETE", "/api/v1/connections" + query))
            if change.isJSON {
                try change.output.printJSON(flushed)
            } else if flushed.dryRun {
                Swift.print("\(flushed.ended) connections would end; nothing was changed (dry run)")
            } else {
                Swift.print("\(flushed.ended) connections ended")
            }
        }
    }
}
