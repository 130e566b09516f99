// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import ControlPlane
import DataPlane
import Foundation

/// The command `xdplb drops`.
struct DropsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "drops",
        abstract: "Show why frames are dropped: rate, total, and an example.",
        discussion: """
            Lines that begin with 'kernel' are losses before or behind the pipeline. --explain says \
            what a reason means and what to look at first; it needs no daemon. For example:
              xdplb drops --watch 1s
              xdplb drops --explain no_connection
            """)

    @Option(help: ArgumentHelp("Say what a reason means, and what to do.", valueName: "reason"))
    var explain: String?
    @OptionGroup var watch: WatchOptions
    @OptionGroup var socket: SocketOptions
    @OptionGroup var output: OutputOptions

    func run() throws {
        if let explain { return try ExplainedDrop(explain).print(output) }
        try watch {
            let drops = try socket.client.get(DropsDocument.self, "/api/v1/drops")
            try output.print(drops) { Self.table(drops) }
        }
    }

    private static func table(_ document: DropsDocument) -> TableText {
        var table = TableText("REASON", ">/S", ">TOTAL", "LAST", "EXAMPLE")
        let drops = document.drops.filter { $0.total > 0 }
            .sorted { ($0.perSecond, $0.total) > ($1.perSecond, $1.total) }
        for drop in drops {
            table.add(
                drop.reason, Scaled.number(drop.perSecond), Scaled.number(Double(drop.total)),
                last(drop.last, document.time), drop.example ?? "-")
        }
        // A full RX ring is what to expect first: it is shown before it happens.
        let losses = document.kernel.filter {
            $0.total > 0 || $0.loss == KernelLoss.rxRingFull.rawValue
        }
        for loss in losses {
            table.add(
                "kernel \(loss.loss)", Scaled.number(loss.perSecond),
                Scaled.number(Double(loss.total)), last(loss.last, document.time),
                "remedy if it grows: \(loss.remedy)")
        }
        return table
    }

    /// `now`, the time of day, or the day when it is another one; UTC, as in the log.
    private static func last(_ time: String?, _ now: String) -> String {
        guard let time else { return "-" }
        guard let date = try? Date(time, strategy: .iso8601),
            let today = try? Date(now, strategy: .iso8601)
        else { return time }
        if today.timeIntervalSince(date) < 2 { return "now" }
        let isToday = time.prefix(10) == now.prefix(10)
        return String(isToday ? time.dropFirst(11).prefix(8) : time.prefix(10))
    }
}

/// What `drops --explain` prints.
struct ExplainedDrop: Encodable {
    let schema = "xdplb.drop_explanation/1"
    let reason: String
    let meaning: String
    let causes: [String]
    let look: String
    let commands: [String]

    private static let width = 96

    /// The chapter of a reason, or of a way to lose frames in the kernel.
    ///
    /// - Throws: ``CommandFailure`` when there is none of that name; says which there are.
    init(_ text: String) throws {
        let name = text.hasPrefix("kernel ") ? String(text.dropFirst(7)) : text
        let chapter = DropReason(token: name)?.chapter ?? KernelLoss(rawValue: name)?.chapter
        guard let chapter else {
            let reasons = DropReason.allCases.map(\.token).joined(separator: ", ")
            let losses = KernelLoss.allCases.map(\.rawValue).joined(separator: ", ")
            throw CommandFailure(
                .invalid, "there is no reason '\(text)' (reasons: \(reasons); kernel: \(losses))")
        }
        reason = name
        meaning = chapter.meaning
        causes = chapter.causes
        look = chapter.look
        commands = chapter.commands
    }

    /// Prints it as text, or as JSON.
    func print(_ output: OutputOptions) throws {
        guard output.format == .table else { return try output.printJSON(self) }
        var lines = [reason]
        lines += Self.wrapped(meaning, "  ")
        lines += ["", "Usual causes"] + causes.flatMap { Self.wrapped($0, "  - ") }
        lines += ["", "Look first at"] + Self.wrapped(look, "  ")
        lines += ["", "Commands"] + commands.map { "  \($0)" }
        Swift.print(lines.joined(separator: "\n"))
    }

    /// Lines of a text; the second and later ones stand under the first one's text.
    private static func wrapped(_ text: String, _ indentation: String) -> [String] {
        var lines: [String] = []
        var line = indentation
        for word in text.split(separator: " ") {
            if line.count + word.count > width {
                lines.append(line)
                line = String(repeating: " ", count: indentation.count)
            }
            line += (line.hasSuffix(" ") ? "" : " ") + word
        }
        return lines + [line]
    }
}
