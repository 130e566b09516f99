// SPDX-License-Identifier: Apache-2.0
internal import ControlPlane
internal import Foundation
internal import XSKRing

/// What this process may do, as the daemon must.
struct PrivilegesCheck: DoctorCheck {
    /// Bits of `CapEff` (capabilities(7)).
    struct Capabilities: OptionSet, Sendable {
        let rawValue: UInt64

        static let netAdmin = Capabilities(rawValue: 1 << 12)
        static let netRaw = Capabilities(rawValue: 1 << 13)
        static let lockMemory = Capabilities(rawValue: 1 << 14)
        static let administrator = Capabilities(rawValue: 1 << 21)
        static let bpf = Capabilities(rawValue: 1 << 39)

        /// Those that are needed.
        static let needed: Capabilities = [.netAdmin, .netRaw, .lockMemory, .bpf]
    }

    /// What it has.
    var capabilities: Capabilities
    /// Bytes that it may lock; `nil` for no limit.
    var lockedLimit: UInt64?
    /// Bytes that the UMEMs of all queues have.
    var umemByteCount: UInt64
    /// The program's file.
    var executable: String

    private static let check = "privileges"

    private var remedy: Remedy {
        Remedy(
            "setcap cap_net_raw,cap_net_admin,cap_bpf,cap_ipc_lock=ep \(executable)",
            or: "run it as root")
    }

    var findings: [Finding] {
        var findings: [Finding] = []
        let costs: [(Capabilities, String, String)] = [
            (.netRaw, "CAP_NET_RAW", "no AF_XDP socket can be made"),
            (.netAdmin, "CAP_NET_ADMIN", "no program can be attached, and no busy polling"),
            (.bpf, "CAP_BPF", "no program can be loaded"),
        ]
        for (capability, name, cost) in costs where !has(capability) {
            findings.append(.fail(Self.check, "\(name) is missing", cost, remedy))
        }
        if let finding = memory { findings.append(finding) }
        return findings.isEmpty
            ? [.ok(Self.check, "all four capabilities are present")] : findings
    }

    private func has(_ capability: Capabilities) -> Bool {
        // CAP_BPF was split off CAP_SYS_ADMIN, which still has it.
        capabilities.contains(capability)
            || capability == .bpf && capabilities.contains(.administrator)
    }

    private var memory: Finding? {
        guard !has(.lockMemory), let lockedLimit else { return nil }
        let fact = """
            CAP_IPC_LOCK is missing; the UMEM has \(Scaled.bytes(Int(umemByteCount))), \
            \(Scaled.bytes(Int(clamping: lockedLimit))) may be locked
            """
        guard umemByteCount > lockedLimit else {
            return .info(Self.check, fact, "it fits, if nothing else of this user locks memory")
        }
        return .fail(
            Self.check, fact, "registering the UMEM fails (ENOBUFS)",
            Remedy(
                "setcap cap_net_raw,cap_net_admin,cap_bpf,cap_ipc_lock=ep \(executable)",
                or: "LimitMEMLOCK=infinity in the unit"))
    }
}

extension PrivilegesCheck {
    init(reading subject: DoctorSubject) {
        let status = KernelText.file("/proc/self/status") ?? ""
        let line = status.split(separator: "\n").first { $0.hasPrefix("CapEff:") }
        let digits = line?.split(whereSeparator: \.isWhitespace).last
        capabilities = Capabilities(rawValue: digits.flatMap { UInt64($0, radix: 16) } ?? 0)
        var limit = rlimit()
        let answer = unsafe getrlimit(Int32(__RLIMIT_MEMLOCK.rawValue), &limit)
        let isLimited = answer == 0 && limit.rlim_cur < rlim_t(Int64.max)
        lockedLimit = isLimited ? UInt64(limit.rlim_cur) : nil
        let queues = subject.configuration.interface.queues?.count ?? subject.interface.rxQueueCount
        umemByteCount = UInt64(
            queues * subject.configuration.memory.chunksPerQueue
                * subject.configuration.interface.chunkSize)
        executable =
            (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe"))
            ?? "/usr/bin/xdplb"
    }
}
