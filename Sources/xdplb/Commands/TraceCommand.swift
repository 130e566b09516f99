// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import ControlPlane
import DataPlane

/// The command `xdplb trace`.
struct TraceCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "trace",
        abstract: "Show where a packet would go, and why.",
        discussion: """
            Asks the daemon, with its live connections, or with --config a file, without a daemon \
            and without root. The packet runs through the production pipeline on a copy: nothing \
            is sent, and no state is changed. For example:
              xdplb trace "tcp 10.0.0.9:4444 > 40.1.1.1:80" --flags A --size 1500
              xdplb trace "icmp 10.0.0.9 > 40.1.1.1" --config xdplb.yaml
            """)

    @Argument(help: "tcp|udp SOURCE:PORT > VIP:PORT, or icmp SOURCE > VIP; IPv6 in brackets.")
    var flow: String
    @Option(help: "Control bits of TCP: letters of FSRPA.") var flags: String?
    @Option(help: "Bytes of the IP packet.") var size: Int?
    @Option(help: "Configuration file, in place of the daemon.") var config: String?
    @OptionGroup var socket: SocketOptions
    @OptionGroup var output: FormatOptions

    func run() throws {
        let request = TraceRequest(flow: flow, flags: flags, size: size)
        let document: TraceDocument
        if let config {
            document = try trace(request, by: config)
        } else {
            document = try socket.client.ask(TraceDocument.self, "/api/v1/trace", request)
        }
        if output.format == .json {
            try output.printJSON(document)
            return
        }
        for (index, step) in document.steps.enumerated() {
            print("\(index + 1) " + step.stage.padded(to: 12) + step.text)
        }
        print("verdict".padded(to: 14) + Self.verdict(document))
    }

    private static func verdict(_ document: TraceDocument) -> String {
        let reason = document.reason.isEmpty ? "" : " \(document.reason)"
        return "\(document.verdict)\(reason)    nothing was sent, no state was changed"
    }

    private func trace(_ request: TraceRequest, by path: String) throws -> TraceDocument {
        let configuration = try OfflineConfiguration.load(path)
        do {
            let packet = try request.packet()
            let control = try OfflineControl(
                configuration, hashKey: OfflineConfiguration.hashKey(of: configuration))
            let (facts, outcome) = try Tracer.trace(packet, under: control.plan, nil)
            return TraceWriter(
                plan: control.plan, interface: configuration.interface.name,
                names: control.traceNames
            ).document(packet, facts, nil, outcome)
        } catch let refusal as ChangeRefused {
            throw CommandFailure(.invalid, refusal.message)
        }
    }
}

extension String {
    fileprivate func padded(to width: Int) -> String {
        self + String(repeating: " ", count: max(1, width - count))
    }
}
