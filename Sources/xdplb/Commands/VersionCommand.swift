// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import CXDP
import ControlPlane
import Foundation

/// The command `xdplb version`.
struct VersionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "version",
        abstract: "Show the versions of xdplb, its libraries and the kernel, and what that can do.",
        discussion: """
            Features are yes, no, or unknown where only root could tell. For example:
              xdplb version -o json
            """)

    private struct Document: Codable {
        var schema = "xdplb.version/1"
        var version: String
        var commit: String
        var swift: String
        var libxdp: String
        var libbpf: String
        var kernel: String
        var features: KernelFeatures
    }

    @OptionGroup var output: OutputOptions

    func run() throws {
        let document = Document(
            version: Version.text, commit: Version.commit, swift: Version.swift,
            libxdp: Self.libxdp, libbpf: unsafe String(cString: libbpf_version_string()),
            kernel: HostSystem.kernelRelease,
            features: KernelFeatures())
        if output.format == .json { return try output.printJSON(document) }
        print(
            """
            xdplb \(document.version), commit \(document.commit), Swift \(document.swift), \
            libxdp \(document.libxdp), libbpf \(document.libbpf), Linux \(document.kernel)
            features: \(document.features.text)
            """)
    }

    /// The library does not tell its version, but the name of the file that is loaded does.
    private static var libxdp: String {
        let name = (KernelText.file("/proc/self/maps") ?? "").split(whereSeparator: \.isNewline)
            .compactMap { $0.split(separator: "/").last }
            .first { $0.hasPrefix("libxdp.so.") }
        return name.map { "v" + $0.dropFirst("libxdp.so.".count) } ?? "unknown"
    }
}

/// What a kernel has of what xdplb builds on, as far as the user may know.
struct KernelFeatures: Codable {
    /// Whether it is there.
    enum Answer: String, Codable {
        case yes
        case no
        case unknown

        init(_ isThere: Bool?) { self = isThere.map { $0 ? .yes : .no } ?? .unknown }
    }

    let afXdp: Answer
    let bpfJit: Answer
    let btf: Answer
    /// Whether a device's XDP features can be asked for (6.3).
    let netdevFeatureQuery: Answer

    /// Those of the kernel that runs.
    init() {
        afXdp =
            switch KernelCheck.trySocket() {
            case .present: .yes
            case .absent: .no
            case .notAllowed: .unknown
            }
        bpfJit = Answer(KernelText.number("/proc/sys/net/core/bpf_jit_enable").map { $0 > 0 })
        btf = Answer(FileManager.default.fileExists(atPath: "/sys/kernel/btf/vmlinux"))
        // Of the loopback interface, which is always there.
        netdevFeatureQuery = Answer(DriverFeatures.read(interface: 1) != nil)
    }

    /// All of them in a line.
    var text: String {
        """
        AF_XDP \(afXdp.rawValue), BPF JIT \(bpfJit.rawValue), BTF \(btf.rawValue), netdev feature \
        query \(netdevFeatureQuery.rawValue)
        """
    }
}
