// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import ControlPlane
import DataPlane
import Foundation

/// The command `xdplb plan FILE`.
struct PlanCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "plan",
        abstract: "Say what a configuration file would change, and change nothing.",
        discussion: """
            Per service: what differs, Maglev slots that would move and the fewest possible, \
            connections that stay, may finish or end, shares to expect. Compares with the daemon, or \
            with another file, which needs neither daemon nor root. Exits 3 when a reload of the \
            file would be refused. For example:
              xdplb plan /etc/xdplb/xdplb.yaml
              xdplb plan new.yaml --against /var/lib/xdplb/generations/6.yaml
            """)

    @Argument(help: "Configuration file.") var file: String
    @Option(help: ArgumentHelp("Compare with this file, not with the daemon.", valueName: "file"))
    var against: String?
    @Option(
        help: ArgumentHelp(
            "Hash key file for --against, where the file names none: slots depend on it.",
            valueName: "file"))
    var hashKey: String?
    @OptionGroup var socket: SocketOptions
    @OptionGroup var output: FormatOptions

    func run() throws {
        let plan = try against.map(compare) ?? ask()
        if output.format == .json {
            try output.printJSON(plan)
        } else {
            plan.lines.forEach { print($0) }
            if plan.entries.isEmpty { print("nothing differs") }
        }
        if plan.needsRestart {
            throw CommandFailure(
                .refused,
                """
                changes marked ! need a restart; 'xdplb reload' refuses this file until they are \
                reverted
                """)
        }
    }

    private func ask() throws -> PlanDocument {
        let loaded = try Self.load(file)
        return try socket.client.ask(
            PlanDocument.self, "/api/v1/plan", PlanBody(configuration: loaded.text, file: file))
    }

    private func compare(_ other: String) throws -> PlanDocument {
        var before = try Self.load(other).configuration
        let after = try Self.load(file).configuration
        before.interface.offline = before.interface.offline ?? .example
        do {
            let control = try OfflineControl(before, hashKey: try key(before))
            return PlanDocument(try control.plan(to: after), generation: 0)
        } catch let refusal as ChangeRefused {
            throw CommandFailure(.invalid, refusal.message)
        }
    }

    private func key(_ configuration: Configuration) throws -> HashKey {
        guard let path = hashKey ?? configuration.maglev.hashKeyFile else {
            // How many slots move hardly depends on the key; which ones does.
            return .example
        }
        do {
            return try HashKeyFile.load(path, stateDirectory: "")
        } catch {
            throw CommandFailure(.invalid, "\(error)")
        }
    }

    private static func load(_ path: String) throws -> ConfigurationFile {
        do {
            return try ConfigurationFile.load(path)
        } catch {
            throw CommandFailure(.invalid, "\(error)")
        }
    }
}

extension HashKey {
    /// Stands in where a file names no key.
    fileprivate static let example: HashKey = {
        guard let key = HashKey(bytes: Array(0..<16)) else { preconditionFailure("16 bytes") }
        return key
    }()
}

extension OfflineInterface {
    /// Stands in where a file has no `offline` facts, which a plan does not depend on.
    static let example = OfflineInterface(
        mac: .zero, mtu: 1500, ipv4: IPAddress("192.0.2.5"), ipv6: IPAddress("2001:db8::5"),
        nextHopMAC: .zero)
}
