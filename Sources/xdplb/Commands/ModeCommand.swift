// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import ControlPlane

/// The command `xdplb mode set`.
struct ModeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mode",
        abstract: "Change how new connections of a service are forwarded.",
        subcommands: [Set.self])

    struct Set: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Set a service's mode to dsr or snat.",
            discussion: """
                Tracked connections end in the mode they began in. For example:
                  xdplb mode set 40.1.1.1:80/tcp dsr
                """)

        @Argument(help: "Name or VIP:PORT/PROTOCOL.") var service: String
        @Argument(help: "dsr or snat.") var mode: String
        @OptionGroup var socket: SocketOptions
        @OptionGroup var change: ChangeOptions

        func run() throws {
            try change.print(
                try socket.client.change(
                    "PUT", "/api/v1/services/\(service.escapedForURL)/mode\(change.query)",
                    ModeBody(mode: mode)))
        }
    }
}
