// SPDX-License-Identifier: Apache-2.0
internal import ControlPlane
internal import Foundation
internal import Netlink
internal import XSKRing

/// Whether the kernel has what xdplb is built on.
struct KernelCheck: DoctorCheck {
    /// What making an AF_XDP socket was answered with.
    enum Sockets: Equatable, Sendable {
        /// A socket.
        case present
        /// No such family.
        case absent
        /// Refused to us, so it is not known.
        case notAllowed
    }

    /// As `uname -r` prints it.
    var release: String
    /// Whether there are AF_XDP sockets.
    var sockets: Sockets
    /// Whether BPF programs are compiled to machine code; `nil` when it is not shown here, as in
    /// a network namespace.
    var compilesPrograms: Bool?
    /// Whether a device's XDP features can be asked for (6.3).
    var hasFeatureQuery: Bool

    private static let check = "kernel"
    private static let oldest = (major: 6, minor: 1)

    var findings: [Finding] {
        var findings: [Finding] = []
        if sockets == .absent {
            findings.append(
                .fail(
                    Self.check, "\(release) has no AF_XDP sockets", "xdplb cannot run",
                    Remedy(words: "a kernel with CONFIG_XDP_SOCKETS, as Debian's have")))
        }
        if compilesPrograms == false {
            findings.append(
                .warn(
                    Self.check, "net.core.bpf_jit_enable is 0",
                    "the steering program is interpreted, several times slower",
                    Remedy("sysctl -w net.core.bpf_jit_enable=1")))
        }
        if let version, version < Self.oldest {
            findings.append(
                .warn(
                    Self.check, "\(release) is older than 6.1",
                    "xdplb is not tested with it",
                    Remedy(words: "Debian 12 has 6.1, its backports newer ones")))
        }
        return findings.isEmpty ? [.ok(Self.check, "\(release): \(abilities)")] : findings
    }

    private var abilities: String {
        var words = [sockets == .present ? "AF_XDP" : "AF_XDP not tried (needs CAP_NET_RAW)"]
        if compilesPrograms == true { words.append("BPF JIT") }
        words.append(hasFeatureQuery ? "netdev feature query" : "no netdev feature query (6.3)")
        return words.joined(separator: ", ")
    }

    private var version: (major: Int, minor: Int)? {
        let numbers = release.split(separator: ".").prefix(2).compactMap { Int($0) }
        return numbers.count == 2 ? (numbers[0], numbers[1]) : nil
    }
}

extension KernelCheck {
    init(reading subject: DoctorSubject) {
        release = HostSystem.kernelRelease
        sockets = Self.trySocket()
        compilesPrograms = KernelText.number("/proc/sys/net/core/bpf_jit_enable").map { $0 > 0 }
        hasFeatureQuery = DriverFeatures.read(interface: subject.interface.index) != nil
    }

    static func trySocket() -> Sockets {
        let familyXDP: Int32 = 44
        let descriptor = socket(familyXDP, Int32(SOCK_RAW.rawValue), 0)
        guard descriptor < 0 else {
            close(descriptor)
            return .present
        }
        return errno == EPERM || errno == EACCES ? .notAllowed : .absent
    }
}

/// Asks for XDP features.
enum DriverFeatures {
    /// Those of a device; `nil` when the kernel does not tell.
    static func read(interface index: Int) -> XDPFeatures? {
        guard var socket = try? NetlinkSocket(for: .genericRequests) else { return nil }
        return (try? socket.xdpFeatures(ofInterface: index)) ?? nil
    }
}
