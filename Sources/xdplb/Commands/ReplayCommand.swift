// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import ControlPlane
import DataPlane
import Foundation

/// The command `xdplb replay`.
struct ReplayCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "replay",
        abstract: "Run a capture through the pipeline, offline.",
        discussion: """
            Every frame goes through the same code as on the interface: steering, then the \
            pipeline of one worker. The clock is that of the frames, the interface is what \
            'interfaces[0].offline' says, and every next hop is its 'next_hop_mac'; no root, no \
            device and no daemon are needed. The same configuration, seed and input give the same \
            output byte for byte. Memory for connections.entries_per_worker entries is reserved, \
            and used as far as it is needed.

              xdplb replay --config xdplb.yaml --in in.pcap --out out.pcap --log log.jsonl

            LOG has a JSON object for each frame of IN: n, t, verdict (tx, drop, pass), reason, \
            out (frames sent), service and backend. OUT has the frames sent, each with the time of \
            the frame that caused it. With --stdio, frames are read as lines \
            {"t":SECONDS,"frame":"HEX"} and each is answered by such an object with the frames in \
            "out"; {"t":SECONDS,"action":{"set_backend":[{"service":NAME,"addr":ADDRESS, \
            "state":"up|down|drain"}]}} changes backends, also with "weight":N, "add":true and \
            "remove":true. Exits 0 at the end of any input, 2 when the configuration or a file is \
            bad.
            """)

    @Option(help: "Configuration file.") var config: String
    @Flag(help: "Read and answer JSON lines on standard input and output.") var stdio = false
    @Option(name: .customLong("in"), help: "Capture to read: pcap or pcapng.") var input: String?
    @Option(name: .customLong("out"), help: "Capture to write: frames that are sent.")
    var output: String?
    @Option(help: "File for one JSON line per frame.") var log: String?
    @Option(help: "File of lines {\"t\",\"action\"}, applied before the first frame of that time.")
    var events: String?
    @Option(help: "Hash key, 32 hexadecimal digits; default: hash_key_file, or a random one.")
    var seed: String?
    @Option(help: "File for counters at the end, as JSON.") var stats: String?

    func validate() throws {
        let files = [input, output, log]
        if stdio {
            guard files.allSatisfy({ $0 == nil }), events == nil else {
                throw ValidationError("--stdio reads frames and actions from standard input alone")
            }
        } else if files.contains(where: { $0 == nil }) {
            throw ValidationError("give either --stdio, or --in, --out and --log")
        }
    }

    func run() throws {
        let configuration = try OfflineConfiguration.load(config)
        var run = try ReplayRun(configuration, hashKey: key(configuration))
        if stdio {
            try ReplayLines.run(&run)
        } else if let input, let output, let log {
            try ReplayFiles(input: input, output: output, log: log, events: events).run(&run)
        }
        guard let stats else { return }
        do {
            try Data((run.statistics + "\n").utf8).write(to: URL(fileURLWithPath: stats))
        } catch {
            throw CommandFailure(.invalid, "cannot write \(stats): \(error.localizedDescription)")
        }
    }

    private func key(_ configuration: Configuration) throws -> HashKey {
        if let seed {
            guard let key = HashKey(hex: seed) else {
                throw CommandFailure(.invalid, "seed '\(seed)' is not 32 hexadecimal digits")
            }
            return key
        }
        return try OfflineConfiguration.hashKey(of: configuration)
    }
}

/// What `replay` and `trace` do to get a configuration without a host.
enum OfflineConfiguration {
    /// The configuration of a file.
    ///
    /// - Throws: ``CommandFailure`` with the file's problems.
    static func load(_ path: String) throws(CommandFailure) -> Configuration {
        do {
            return try ConfigurationFile.load(path).configuration
        } catch {
            throw CommandFailure(.invalid, "\(error)")
        }
    }

    /// The key that the configuration names, or a random one.
    static func hashKey(of configuration: Configuration) throws(CommandFailure) -> HashKey {
        if let path = configuration.maglev.hashKeyFile {
            do {
                return try HashKeyFile.load(path, stateDirectory: "")
            } catch {
                throw CommandFailure(.invalid, "\(error)")
            }
        }
        return .random()
    }
}
