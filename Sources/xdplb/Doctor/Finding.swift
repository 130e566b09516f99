// SPDX-License-Identifier: Apache-2.0

/// One line of `xdplb doctor`: what was read, what follows, what mends it.
struct Finding: Equatable, Sendable {
    /// How bad it is.
    enum Level: String, Codable, Sendable {
        /// As it should be.
        case ok
        /// Worth knowing, and nothing to do about.
        case info
        /// It works, but worse than it could.
        case warn
        /// It does not work, or traffic is lost.
        case fail = "FAIL"
    }

    /// How bad it is.
    let level: Level
    /// What was looked at, in a word: `offloads`.
    let check: String
    /// What was read, after whose it is: `eth0: 16 channels, sockets on 0-3`.
    let fact: String
    /// What follows from it; empty when all is well.
    let consequence: String
    /// What mends it; `nil` when there is nothing to mend, or nothing known to.
    let remedy: Remedy?

    /// What is as it should be.
    static func ok(_ check: String, _ fact: String) -> Finding {
        Finding(level: .ok, check: check, fact: fact, consequence: "", remedy: nil)
    }

    /// What is worth knowing.
    static func info(_ check: String, _ fact: String, _ consequence: String = "") -> Finding {
        Finding(level: .info, check: check, fact: fact, consequence: consequence, remedy: nil)
    }

    /// What works, but worse than it could.
    static func warn(
        _ check: String, _ fact: String, _ consequence: String, _ remedy: Remedy? = nil
    ) -> Finding {
        Finding(level: .warn, check: check, fact: fact, consequence: consequence, remedy: remedy)
    }

    /// What does not work.
    static func fail(
        _ check: String, _ fact: String, _ consequence: String, _ remedy: Remedy? = nil
    ) -> Finding {
        Finding(level: .fail, check: check, fact: fact, consequence: consequence, remedy: remedy)
    }

    /// Fact and consequence as a sentence.
    var sentence: String { consequence.isEmpty ? fact : "\(fact): \(consequence)" }
}

/// What mends a finding.
struct Remedy: Equatable, Sendable {
    /// As it is told.
    let text: String
    /// Commands that do it on this host; empty when only a person can, or another host must.
    let commands: [String]
    /// The host on which it is to be done; `nil` for this one.
    let host: String?

    /// A command to be pasted here, and perhaps another way in words.
    init(_ command: String, or other: String? = nil) {
        text = command + (other.map { ", or \($0)" } ?? "")
        commands = [command]
        host = nil
    }

    /// What no command does.
    init(words: String) {
        text = words
        commands = []
        host = nil
    }

    /// A command to be pasted on another host.
    init(_ command: String, on host: String) {
        text = command
        commands = []
        self.host = host
    }

    /// Where and what.
    var sentence: String { host.map { "on \($0): \(text)" } ?? text }
}
