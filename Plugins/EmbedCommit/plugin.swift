// SPDX-License-Identifier: Apache-2.0
import Foundation
import PackagePlugin

/// Writes a Swift source that says which commit is built, and whether files differ from it.
///
/// Before every build, as nothing that the build system watches changes with a commit; the source is
/// written only when the commit is another one.
@main
struct EmbedCommit: BuildToolPlugin {
    private static let script = #"""
        commit=$(git -C "$0" describe --always --dirty --exclude "*" 2>/dev/null || echo unknown)
        text="extension Version { static let commit = \"$commit\" }"
        [ "$text" = "$(cat "$1" 2>/dev/null)" ] || echo "$text" >"$1"
        """#

    func createBuildCommands(context: PluginContext, target: any Target) throws -> [Command] {
        let folder = context.pluginWorkDirectoryURL
        return [
            .prebuildCommand(
                displayName: "Noting the commit", executable: URL(fileURLWithPath: "/bin/sh"),
                arguments: [
                    "-c", Self.script, context.package.directoryURL.path,
                    folder.appendingPathComponent("Commit.swift").path,
                ], outputFilesDirectory: folder)
        ]
    }
}
