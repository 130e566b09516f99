// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import CPlatform
import ControlPlane
import DataPlane
import Foundation
import Logging

/// `xdplb run`: the daemon.
struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Run the load balancer, from a file or from arguments.",
        discussion: """
            With a file:      xdplb run --config /etc/xdplb/xdplb.yaml
            For a first try:  xdplb run --interface eth0 --mode snat \
            --service 40.1.1.1:80/tcp=20.1.1.10:80,20.1.1.20:80

            Runs in the foreground until SIGTERM or Ctrl-C, and leaves nothing attached. Needs \
            CAP_NET_RAW, CAP_NET_ADMIN, CAP_BPF and CAP_IPC_LOCK, or root.
            """)

    @Option(help: ArgumentHelp("Configuration file.", valueName: "file"))
    var config: String?

    @Option(help: ArgumentHelp("Interface, instead of a file.", valueName: "if"))
    var interface: String?

    @Option(help: ArgumentHelp("Mode of the services: dsr or snat.", valueName: "mode"))
    var mode: String?

    @Option(
        name: .customLong("service"),
        help: ArgumentHelp(
            "VIP:PORT/PROTOCOL=IP[:PORT],IP[:PORT]…; may be repeated, or given later by 'service update'.",
            valueName: "service"))
    var services: [String] = []

    @Option(help: ArgumentHelp("Path of the admin socket.", valueName: "path"))
    var adminSocket: String?

    @Option(
        help: ArgumentHelp(
            "Address of the read-only HTTP server, or 'none'.", valueName: "addr:port"))
    var httpListen: String?

    @Option(help: ArgumentHelp("Where run-time state is kept.", valueName: "dir"))
    var stateDirectory = "/var/lib/xdplb"

    func validate() throws {
        if config != nil, interface != nil || mode != nil || !services.isEmpty {
            throw ValidationError(
                "--config cannot be combined with --interface, --mode or --service.")
        }
        if config == nil, interface == nil {
            throw ValidationError("Give either --config FILE or --interface IF.")
        }
    }

    func run() async throws {
        cplatform_bound_heap()
        let supervisor = Supervisor()
        do {
            try await serve(supervisor)
        } catch {
            // What 'systemctl status' shows of a start that failed.
            supervisor.status("\(error)")
            throw error
        }
    }

    private func serve(_ supervisor: Supervisor) async throws {
        let file = try readFile()
        var configuration = try file?.configuration ?? readArguments()
        let adjust = try adjustment()
        adjust(&configuration)
        let log = Logging(configuration.logFormat, configuration.logLevel)
        defer { log.finish() }
        try StartChecks.pass(configuration, log: log.logger)
        let key: HashKey
        do {
            key = try HashKeyFile.load(
                configuration.maglev.hashKeyFile, stateDirectory: stateDirectory)
        } catch {
            throw CommandFailure(.refused, "\(error)")
        }
        let events = EventLog(log.logger)
        let store = StateStore(stateDirectory, events: events)
        let source = file.map {
            ConfigurationSource(
                $0, store: store, adjust: adjust, applied: { log.setLevel($0.logLevel) })
        }
        try await Daemon(
            configuration: configuration, source: source, hashKey: key, supervisor: supervisor,
            log: log.logger, events: events
        ).run()
    }

    /// What arguments and environment say in place of any file, also when it is read again.
    private func adjustment() throws -> @Sendable (inout Configuration) -> Void {
        let socket = adminSocket ?? ProcessInfo.processInfo.environment["XDPLB_ADMIN_SOCKET"]
        let listen = try httpListen.map(Self.address)
        return { configuration in
            if let socket { configuration.admin.socket = socket }
            if let listen { configuration.httpListen = listen }
        }
    }

    private func readFile() throws(CommandFailure) -> ConfigurationFile? {
        guard let config else { return nil }
        do {
            return try ConfigurationFile.load(config)
        } catch {
            throw CommandFailure(.invalid, "\(error)")
        }
    }

    private func readArguments() throws(CommandFailure) -> Configuration {
        do {
            return try QuickForm.parse(
                interface: interface ?? "", mode: mode ?? "dsr", services: services)
        } catch {
            throw CommandFailure(.invalid, "\(error)")
        }
    }

    private static func address(_ text: String) throws -> SocketAddressConfiguration? {
        if text == "none" { return nil }
        guard let endpoint = Endpoint(text), let port = endpoint.port else {
            throw CommandFailure(
                .invalid,
                "'\(text)' is neither an address with a port, such as 127.0.0.1:9660, nor 'none'")
        }
        return SocketAddressConfiguration(host: endpoint.address.description, port: Int(port))
    }
}
