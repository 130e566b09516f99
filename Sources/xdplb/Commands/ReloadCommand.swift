// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import ControlPlane

/// The command `xdplb reload`.
struct ReloadCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reload",
        abstract: "Apply the daemon's configuration file again, whole or not at all.",
        discussion: """
            Tracked connections stay. Refused (exit 2 for what is wrong in the file, 3 for what needs \
            a restart), the running generation stays. With --confirm it is undone after that time \
            unless 'xdplb reload' is given again, which saves those who cut off their own access. \
            'xdplb plan FILE' says before what would change. For example:
              xdplb reload --wait; xdplb reload --confirm 60s
            """)

    @Flag(help: "Wait until every worker has it; that is always done.") var wait = false
    @Option(
        help: ArgumentHelp(
            "Go back after this time unless it is reloaded again, such as 60s.", valueName: "time"))
    var confirm: String?
    @OptionGroup var socket: SocketOptions
    @OptionGroup var change: ChangeOptions

    func run() throws {
        let body = ReloadBody(confirmSeconds: try confirm.map(DurationText.seconds))
        try change.print(
            socket.client.ask(ChangeDocument.self, "/api/v1/reload" + change.query, body))
    }
}
