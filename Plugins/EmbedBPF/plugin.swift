// SPDX-License-Identifier: Apache-2.0
import Foundation
import PackagePlugin

/// Compiles every `BPF/NAME.bpf.c` of a target with the toolchain's clang and embeds the object
/// as `EmbeddedBPF.NAME` (camel case), so that one binary carries its programs and none is
/// committed.
@main
struct EmbedBPF: BuildToolPlugin {
    func createBuildCommands(context: PluginContext, target: any Target) async throws -> [Command] {
        guard let target = target as? SourceModuleTarget else { return [] }
        let clang = try context.tool(named: "clang").url
        let embed = try context.tool(named: "bpfembed").url
        let folder = target.directoryURL.appending(path: "BPF")
        let files = try FileManager.default.contentsOfDirectory(
            at: folder, includingPropertiesForKeys: nil)
        // Maps shared with Swift are declared in CXDP; a change there rebuilds the programs too.
        let shared = context.package.directoryURL.appending(path: "Sources/CXDP")
        let headers =
            files.filter { $0.pathExtension == "h" } + [shared.appending(path: "steer_maps.h")]

        return files.filter { $0.lastPathComponent.hasSuffix(".bpf.c") }.map { source in
            let name = String(source.lastPathComponent.dropLast(".bpf.c".count))
            let output = context.pluginWorkDirectoryURL.appending(path: "\(name).bpf.swift")
            return .buildCommand(
                displayName: "Compiling \(source.lastPathComponent) for BPF",
                executable: embed,
                arguments: [
                    clang.path(), source.path(), output.path(), name, target.name,
                    "-O2", "-g", "-mcpu=v3", "-Wall", "-Wextra", "-Werror",
                    // A number in a place of the stack where a pointer was is taken for a forged
                    // pointer when the program is loaded without CAP_PERFMON.
                    "-mllvm", "-no-stack-slot-sharing",
                    "-I\(shared.path())", "-I\(folder.path())",
                    // Debian keeps <asm/types.h> in the multiarch folder, which the bpf target
                    // does not search.
                    "-I/usr/include/\(Self.multiarch)",
                    "-fdebug-prefix-map=\(context.package.directoryURL.path())=.",
                ],
                inputFiles: [source] + headers,
                outputFiles: [output]
            )
        }
    }

    private static var multiarch: String {
        #if arch(arm64)
            "aarch64-linux-gnu"
        #else
            "x86_64-linux-gnu"
        #endif
    }
}
