// SPDX-License-Identifier: Apache-2.0
internal import ControlPlane

/// Whether each worker has a core to itself, at full speed.
struct ProcessorsCheck: DoctorCheck {
    /// A CPU that a worker is on.
    struct Processor: Equatable, Sendable {
        var cpu: Int
        /// CPUs of the same core, itself among them.
        var siblings: [Int] = []
        /// Who chooses its speed; `nil` when nobody does here.
        var governor: String?
        /// Part of its time since the start that the hypervisor gave to others.
        var stolen = 0.0
    }

    var processors: [Processor]
    /// Workers there are, or would be.
    var workerCount: Int

    private static let check = "cpu"
    /// Part of stolen time that is no accident.
    private static let muchStolen = 0.01

    var findings: [Finding] {
        let findings = [tooFew, shared, slow, stolen].compactMap { $0 }
        guard findings.isEmpty else { return findings }
        let list = KernelText.list(of: processors.map(\.cpu))
        let cores = processors.count == 1 ? "a core of its own" : "cores of their own"
        return [
            .ok(
                Self.check,
                "\(workerCount) worker\(workerCount == 1 ? "" : "s") on CPU \(list), \(cores)")
        ]
    }

    private var tooFew: Finding? {
        guard processors.count < workerCount else { return nil }
        return .warn(
            Self.check, "\(workerCount) workers, \(processors.count) CPUs", "workers share CPUs",
            Remedy(words: "fewer queues (ethtool -L), or more CPUs"))
    }

    private var shared: Finding? {
        let used = Set(processors.map(\.cpu))
        let crowded = processors.filter { processor in
            processor.siblings.contains { $0 != processor.cpu && used.contains($0) }
        }
        guard !crowded.isEmpty else { return nil }
        return .warn(
            Self.check, "CPUs \(KernelText.list(of: crowded.map(\.cpu))) are threads of one core",
            "two workers share it", Remedy(words: "'workers.cores' on different cores"))
    }

    private var slow: Finding? {
        let saving = processors.filter { $0.governor.map { $0 != "performance" } ?? false }
        guard let first = saving.first, let governor = first.governor else { return nil }
        let list = KernelText.list(of: saving.map(\.cpu))
        return .warn(
            Self.check, "governor \(governor) on CPU \(list)",
            "a worker that slept runs slowly at first",
            Remedy(
                saving.map {
                    """
                    echo performance > /sys/devices/system/cpu/cpu\($0.cpu)/cpufreq/scaling_governor
                    """
                }.joined(separator: "; ")))
    }

    private var stolen: Finding? {
        let robbed = processors.filter { $0.stolen > Self.muchStolen }
        guard let most = robbed.map(\.stolen).max() else { return nil }
        return .warn(
            Self.check,
            """
            CPU \(KernelText.list(of: robbed.map(\.cpu))): the hypervisor took up to \
            \(Scaled.percent(most)) of the time
            """, "packets wait, and are lost at high load",
            Remedy(words: "CPUs that other guests do not share"))
    }
}

extension ProcessorsCheck {
    init(reading subject: DoctorSubject) {
        let cpus = subject.workerCPUs
        workerCount = cpus.count
        let times = Self.stolenTimes(KernelText.file("/proc/stat") ?? "")
        processors = cpus.compactMap(\.self).sorted().map { cpu in
            let device = "/sys/devices/system/cpu/cpu\(cpu)"
            return Processor(
                cpu: cpu,
                siblings: KernelText.numbers(
                    in: KernelText.line("\(device)/topology/thread_siblings_list") ?? ""),
                governor: KernelText.line("\(device)/cpufreq/scaling_governor"),
                stolen: times[cpu] ?? 0)
        }
    }

    /// Shares of stolen time by CPU, from /proc/stat (proc(5)): the eighth of its numbers; the two
    /// after it are in the first ones already.
    static func stolenTimes(_ text: String) -> [Int: Double] {
        var shares: [Int: Double] = [:]
        for line in text.split(separator: "\n") where line.hasPrefix("cpu") {
            let fields = line.split(separator: " ")
            let times = fields.dropFirst().prefix(8).compactMap { Double($0) }
            guard let cpu = Int(fields[0].dropFirst(3)), times.count == 8 else { continue }
            let total = times.reduce(0, +)
            shares[cpu] = total > 0 ? times[7] / total : 0
        }
        return shares
    }
}
