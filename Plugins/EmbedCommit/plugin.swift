// SPDX-License-Identifier: Apache-2.0
import Foundation
import PackagePlugin

/// Writes a Swift source that says which commit is built.
///
/// Anew whenever the repository's log of its head grows, which nothing else of a build depends on.
@main
struct EmbedCommit: BuildToolPlugin {
    private static let script = #"""
        commit=$(git -C "$0" rev-parse --short HEAD 2>/dev/null || echo unknown)
        echo "extension Version { static let commit = \"$commit\" }" >"$1"
        """#

    func createBuildCommands(context: PluginContext, target: any Target) throws -> [Command] {
        let package = context.package.directoryURL
        let output = context.pluginWorkDirectoryURL.appending(path: "Commit.swift")
        // Absent where there is no repository, or not the whole of it.
        let log = package.appending(path: ".git/logs/HEAD")
        let inputs = FileManager.default.fileExists(atPath: log.path()) ? [log] : []
        return [
            .buildCommand(
                displayName: "Noting the commit",
                executable: URL(fileURLWithPath: "/bin/sh"),
                arguments: ["-c", Self.script, package.path(), output.path()],
                inputFiles: inputs, outputFiles: [output])
        ]
    }
}
