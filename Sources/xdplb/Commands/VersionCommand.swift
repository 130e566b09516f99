// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import CXDP
import ControlPlane

/// The command `xdplb version`.
struct VersionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "version",
        abstract: "Show the versions of xdplb, libbpf and the kernel.",
        discussion: "For example:  xdplb version -o json")

    private struct Document: Codable {
        var schema = "xdplb.version/1"
        var version: String
        var libbpf: String
        var kernel: String
    }

    @OptionGroup var output: OutputOptions

    func run() throws {
        let libbpf = unsafe String(cString: libbpf_version_string())
        let document = Document(
            version: Version.text, libbpf: libbpf,
            kernel: HostSystem.kernelRelease)
        if output.format == .json { return try output.printJSON(document) }
        print("xdplb \(document.version), \(document.libbpf), Linux \(document.kernel)")
    }
}
