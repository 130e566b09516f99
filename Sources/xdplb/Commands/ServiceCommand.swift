// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import ControlPlane
import DataPlane

/// The command `xdplb service list|show|update|delete`.
struct ServiceCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "service",
        abstract: "List, show, create, change or delete services.",
        discussion: """
            SERVICE is a name or VIP:PORT/PROTOCOL. For example:
              xdplb service update --vip 40.1.1.1:80/tcp --backends 20.1.1.10:80,20.1.1.20:80
            """,
        subcommands: [List.self, Show.self, Update.self, Delete.self])

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List services with their rates.",
            discussion: "For example:  xdplb service list -o json")

        @OptionGroup var watch: WatchOptions
        @OptionGroup var socket: SocketOptions
        @OptionGroup var output: OutputOptions

        func run() throws { try watch(show) }

        private func show() throws {
            let list = try socket.client.get(ServiceListDocument.self, "/api/v1/services")
            try output.print(list) {
                var table = TableText(
                    "SERVICE", "VIP:PORT", "MODE", ">ELIGIBLE", ">PACKETS/S", ">BIT/S", ">NEW/S",
                    ">CONNECTIONS")
                for service in list.services {
                    let more = service.keys.count > 1 ? " +\(service.keys.count - 1)" : ""
                    table.add(
                        service.name, (service.keys.first ?? "") + more,
                        service.mode + (service.snatPool.map { " \($0)" } ?? ""),
                        Self.eligible(service),
                        Scaled.number(service.packetsPerSecond),
                        Scaled.number(service.bitsPerSecond), Scaled.number(service.newPerSecond),
                        Scaled.number(Double(service.connections)))
                }
                return table
            }
        }

        private static func eligible(_ service: ServiceDocument) -> String {
            let text = "\(service.eligible)/\(service.backends)"
            if !service.up { return Colour.bad(text) }
            return service.eligible < service.backends ? Colour.unusual(text) : text
        }
    }

    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show one service and its backends.",
            discussion: """
                The 'configuration' of -o json can be pasted into the file. For example:
                  xdplb service show 40.1.1.1:80/tcp -o json | jq -r .configuration
                """)

        @Argument(help: "Name or VIP:PORT/PROTOCOL.") var service: String
        @OptionGroup var watch: WatchOptions
        @OptionGroup var socket: SocketOptions
        @OptionGroup var output: OutputOptions

        func run() throws { try watch(show) }

        private func show() throws {
            let shown = try socket.client.get(
                ServiceShowDocument.self, "/api/v1/services/\(service.escapedForURL)")
            if output.format == .json { return try output.printJSON(shown) }
            let sources = shown.service.sourceRanges
            print(
                """
                \(shown.service.name)  \(shown.service.keys.joined(separator: " "))  \
                \(shown.service.mode)  \(shown.service.eligible) of \(shown.service.backends) \
                backends eligible\(shown.service.up ? "" : ", down")
                policy      affinity \(shown.service.affinity), on_no_backend \
                \(shown.service.onNoBackend), minimum_backends \(shown.service.minimumBackends), \
                clients \(sources.isEmpty ? "anyone" : sources.joined(separator: " "))
                Maglev      \(shown.maglev.slots) slots, fingerprint \(shown.maglev.fingerprint), \
                \(shown.maglev.rebuilds) builds, \(shown.maglev.movedSlots) slots moved
                connections \(shown.service.connections) tracked, \(shown.service.newConnections) \
                admitted
                packets     \(shown.service.packetsIn) in, \(shown.service.packetsOut) out
                """)
            print(BackendCommand.table(shown.backends).rendered(), terminator: "")
        }
    }

    struct Update: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Create a service, or replace its backends.",
            discussion: """
                Tracked connections stay: those of removed backends may finish within the drain \
                timeout. For example:
                  xdplb service update --vip 40.1.1.1:80/tcp --backends 20.1.1.10:80,20.1.1.20:80
                """)

        @Option(
            help: ArgumentHelp("VIP:PORT/PROTOCOL, or the name of a service.", valueName: "key"))
        var vip: String
        @Option(help: ArgumentHelp("IP[:PORT],IP[:PORT]…", valueName: "list"))
        var backends: String
        @Option(help: "Name of a new service; its key unless given.") var name: String?
        @Option(help: "dsr or snat; unchanged unless given.") var mode: String?
        @Option(help: "SNAT pool; unchanged unless given.") var snatPool: String?
        @Option(
            help: ArgumentHelp(
                "How long connections of removed backends are kept, such as 0s or 5m.",
                valueName: "time"))
        var drainTimeout: String?
        @OptionGroup var socket: SocketOptions
        @OptionGroup var change: ChangeOptions

        func run() throws {
            let body = ServiceUpdateBody(
                backends: backends.split(separator: ",").map(String.init), name: name, mode: mode,
                snatPool: snatPool, drainTimeoutSeconds: try drainTimeout.map(DurationText.seconds))
            try change.print(
                try socket.client.change(
                    "PUT", "/api/v1/services/\(vip.escapedForURL)\(change.query)", body))
        }
    }

    struct Delete: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Delete a service and end its connections.",
            discussion: """
                Prints how many ended. With --drain it gets no new ones, and is deleted when none \
                is left; when that takes longer than --timeout it is not deleted, and takes new \
                ones as before. For example:
                  xdplb service delete 40.1.1.1:80/tcp --drain --timeout 10m
                """)

        @Argument(help: "Name or VIP:PORT/PROTOCOL.") var service: String
        @Flag(help: "Delete it only when no connection is left.") var drain = false
        @Option(help: ArgumentHelp("Longest wait of --drain, such as 5m.", valueName: "time"))
        var timeout = "5m"
        @OptionGroup var socket: SocketOptions
        @OptionGroup var change: ChangeOptions

        func run() throws {
            let client = socket.client
            let target = "/api/v1/services/\(service.escapedForURL)\(change.query)"
            // Read before anything is changed, so that a bad one changes nothing.
            let seconds = try DurationText.seconds(timeout)
            guard drain else { return try change.print(try client.change("DELETE", target)) }
            var waiting = Waiting(
                for: service, "service=\(service.escapedForURL)", client: client,
                longest: seconds)
            let answer = try client.send(
                "DELETE", target + (change.query.isEmpty ? "?" : "&") + "drain=true",
                while: {
                    // The daemon gives up as well when it is hung up on.
                    try waiting.glance(
                        """
                        It is not deleted, and takes new ones as before; 'xdplb connections list \
                        --service \(service)' shows them
                        """)
                })
            waiting.progress.clear()
            try change.print(try client.decode(ChangeDocument.self, answer))
        }
    }
}
