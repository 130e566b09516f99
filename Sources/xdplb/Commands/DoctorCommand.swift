// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import ControlPlane
import Foundation

/// The command `xdplb doctor [IFACE]`.
struct DoctorCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Look at host, NIC and backends, and say what is wrong and what mends it.",
        discussion: """
            Each line has a level (ok, info, warn, FAIL), what was read, what follows, and the \
            command that mends it. Nothing is changed; backends are connected to. Exits 2 when \
            something failed, 1 on warnings with --strict. For example:
              xdplb doctor eth0
              xdplb doctor --config /etc/xdplb/xdplb.yaml --fix
            """)

    @Argument(help: "Interface; that of the file, or of the daemon, unless given.")
    var interface: String?
    @Option(
        help: ArgumentHelp(
            "Configuration file; the daemon's services, or \(DoctorSubject.defaultPath), unless given.",
            valueName: "file"))
    var config: String?
    @OptionGroup var socket: SocketOptions
    @OptionGroup var output: FormatOptions
    @Flag(help: "Let warnings fail, too.") var strict = false
    @Flag(help: "Print a shell script that mends what was found, and change nothing.")
    var fix = false

    func validate() throws {
        if fix, output.format == .json {
            throw ValidationError("--fix prints a script, and -o json a document: choose one.")
        }
    }

    func run() throws {
        let subject = try DoctorSubject(
            interface: interface, configuration: config, client: socket.client)
        let report = DoctorReport(
            subject: subject, findings: Doctor.examine(subject), time: Date())
        if fix {
            print(report.script)
        } else if output.format == .json {
            try output.printJSON(report.document)
        } else {
            print(report.text)
        }
        if let failure = report.failure(isStrict: strict) { throw failure }
    }
}
