// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import ControlPlane
import Foundation

/// How the daemon is found.
struct SocketOptions: ParsableArguments {
    /// Where the daemon serves unless told otherwise.
    static let defaultPath = "/run/xdplb/admin.sock"

    @Option(
        help: ArgumentHelp(
            "Admin socket of the daemon; else XDPLB_ADMIN_SOCKET, else \(Self.defaultPath).",
            valueName: "path"))
    var adminSocket: String?

    var client: AdminClient {
        let path =
            adminSocket ?? ProcessInfo.processInfo.environment["XDPLB_ADMIN_SOCKET"]
            ?? Self.defaultPath
        return AdminClient(path: path)
    }
}

/// Whether a command prints for people or for programs.
struct FormatOptions: ParsableArguments {
    /// The two ways.
    enum Format: String, ExpressibleByArgument, CaseIterable {
        /// For people.
        case table
        /// For programs.
        case json
    }

    @Option(name: [.customShort("o"), .customLong("output")], help: "How to print: table or json.")
    var format = Format.table

    /// Prints a document as it is.
    func printJSON(_ document: some Encodable) throws {
        Swift.print(String(decoding: try AdminJSON.encode(document), as: UTF8.self))
    }

    /// Prints what a change did.
    func print(_ document: ChangeDocument) throws {
        if format == .json { return try printJSON(document) }
        document.lines.forEach { Swift.print($0) }
        if document.dryRun {
            Swift.print("nothing was changed (dry run); generation \(document.generation) stays")
        } else {
            Swift.print(
                """
                generation \(document.generation) acknowledged by \(document.workers) of \
                \(document.workers) workers in \(Int(document.tookMs.rounded(.up))) ms
                """)
        }
    }
}

/// How a command prints what it reads.
struct OutputOptions: ParsableArguments {
    @OptionGroup private var options: FormatOptions

    @Flag(help: "Leave the table's header out.")
    var noHeaders = false

    var format: FormatOptions.Format { options.format }

    /// Prints a document, or the table that is made of it.
    func print(_ document: some Encodable, table: () -> TableText) throws {
        switch format {
        case .json: try printJSON(document)
        case .table: Swift.print(table().rendered(withHeader: !noHeaders), terminator: "")
        }
    }

    /// Prints a document as it is.
    func printJSON(_ document: some Encodable) throws { try options.printJSON(document) }
}

/// How a change is made.
struct ChangeOptions: ParsableArguments {
    @Flag(help: "Say what would happen, and do nothing.")
    var dryRun = false

    @OptionGroup var output: FormatOptions

    var isJSON: Bool { output.format == .json }

    var query: String { dryRun ? "?dry_run=true" : "" }

    /// Prints what a change did.
    func print(_ document: ChangeDocument) throws { try output.print(document) }
}
