// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Foundation

/// The command line: one program is the daemon and the client of its admin socket.
@main
struct XDPLB: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "xdplb",
        abstract: "A layer-4 load balancer on AF_XDP.",
        discussion: """
            Runs on a NIC beside the kernel: frames for a service are balanced over its backends in \
            userspace, by IP-in-IP direct server return (dsr) or with source NAT (snat); everything \
            else stays the kernel's.

            A first try:  xdplb run --interface eth0 --mode snat \
            --service 40.1.1.1:80/tcp=20.1.1.10:80,20.1.1.20:80
            """,
        version: Version.text,
        groupedSubcommands: [
            CommandGroup(
                name: "Daemon:",
                subcommands: [
                    RunCommand.self, CheckCommand.self, PlanCommand.self, ReloadCommand.self,
                    DoctorCommand.self, UpgradeCommand.self,
                ]),
            CommandGroup(
                name: "Looking:",
                subcommands: [
                    StatusCommand.self, TopCommand.self, ConnectionsCommand.self,
                    MaglevCommand.self,
                    NeighboursCommand.self, VersionCommand.self,
                ]),
            CommandGroup(
                name: "Changing:",
                subcommands: [ServiceCommand.self, BackendCommand.self, ModeCommand.self]),
            CommandGroup(
                name: "Explaining:",
                subcommands: [
                    DropsCommand.self, CaptureCommand.self, TraceCommand.self, ReplayCommand.self,
                ]),
            CommandGroup(name: "Measuring:", subcommands: [BenchCommand.self]),
            CommandGroup(name: "On a backend:", subcommands: [DecapCommand.self]),
        ])

    /// Parses, runs, and turns every failure into a message and an exit code.
    static func main() async {
        do {
            var command = try parseAsRoot()
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
        } catch let failure as CommandFailure {
            if !failure.message.isEmpty {
                FileHandle.standardError.write(Data("xdplb: error: \(failure.message)\n".utf8))
            }
            Foundation.exit(failure.code.rawValue)
        } catch {
            // The parser's own exit code for bad arguments is 64; ours is 2.
            let code = exitCode(for: error)
            guard code == .validationFailure else { exit(withError: error) }
            FileHandle.standardError.write(Data((fullMessage(for: error) + "\n").utf8))
            Foundation.exit(CommandFailure.Code.invalid.rawValue)
        }
    }
}
