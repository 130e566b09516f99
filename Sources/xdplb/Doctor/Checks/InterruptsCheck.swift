// SPDX-License-Identifier: Apache-2.0
internal import ControlPlane
internal import XSKRing

/// Where the NIC's interrupts go, and who moves them.
struct InterruptsCheck: DoctorCheck {
    /// An interrupt of the NIC.
    struct Interrupt: Equatable, Sendable {
        var number: Int
        /// CPUs that take it.
        var cpus: [Int]
    }

    var interface: String
    var interrupts: [Interrupt]
    /// CPUs of the NIC's NUMA node; `nil` when the machine has one.
    var nodeCPUs: [Int]?
    /// Whether irqbalance runs.
    var hasIRQBalance: Bool
    /// Whether workers have the kernel poll the NIC.
    var pollsBusily: Bool
    /// Hard interrupts that are put off while polling; and nanoseconds until one comes after all.
    var deferral: (interrupts: Int, nanoseconds: Int)?

    private static let check = "irq"

    var findings: [Finding] {
        var findings: [Finding] = []
        if hasIRQBalance {
            findings.append(
                .warn(
                    Self.check, "irqbalance runs", "it moves queue interrupts among the cores",
                    Remedy("systemctl disable --now irqbalance")))
        }
        if let finding = distant { findings.append(finding) }
        if pollsBusily, let deferral, deferral.interrupts == 0 || deferral.nanoseconds == 0 {
            findings.append(
                .warn(
                    Self.check,
                    """
                    busy_poll is on, but napi_defer_hard_irqs is \(deferral.interrupts) and \
                    gro_flush_timeout \(deferral.nanoseconds)
                    """, "interrupts interfere with polling",
                    Remedy(
                        """
                        echo 2 > /sys/class/net/\(interface)/napi_defer_hard_irqs; \
                        echo 200000 > /sys/class/net/\(interface)/gro_flush_timeout
                        """)))
        }
        guard findings.isEmpty else { return findings }
        return [
            .ok(
                Self.check,
                interrupts.isEmpty
                    ? "\(interface) has no interrupts of its own"
                    : "\(interface): \(interrupts.count) interrupts on CPUs \(cpuText)")
        ]
    }

    private var cpuText: String { KernelText.list(of: Array(Set(interrupts.flatMap(\.cpus)))) }

    private var distant: Finding? {
        guard let nodeCPUs, !nodeCPUs.isEmpty else { return nil }
        let wrong = interrupts.filter { $0.cpus.allSatisfy { !nodeCPUs.contains($0) } }
        guard !wrong.isEmpty else { return nil }
        let list = KernelText.list(of: nodeCPUs)
        return .warn(
            Self.check,
            "\(interface): \(wrong.count) of \(interrupts.count) interrupts on another NUMA node",
            "every frame crosses between nodes",
            Remedy(
                wrong.map { "echo \(list) > /proc/irq/\($0.number)/smp_affinity_list" }
                    .joined(separator: "; ")))
    }
}

extension InterruptsCheck {
    init(reading subject: DoctorSubject) {
        interface = subject.name
        let device = "/sys/class/net/\(subject.name)"
        // Those of a virtio device are the bus device's below it.
        let numbers = ["device/msi_irqs", "device/../msi_irqs"]
            .map { KernelText.names(in: "\(device)/\($0)").compactMap { Int($0) } }
        interrupts = (numbers.first { !$0.isEmpty } ?? []).sorted().map { number in
            let list = KernelText.line("/proc/irq/\(number)/effective_affinity_list") ?? ""
            return Interrupt(number: number, cpus: KernelText.numbers(in: list))
        }
        nodeCPUs = HostSystem.cpus(ofNode: subject.interface.numaNode)
        hasIRQBalance = KernelText.names(in: "/proc").contains {
            Int($0) != nil && KernelText.line("/proc/\($0)/comm") == "irqbalance"
        }
        pollsBusily = subject.configuration.workers.busyPoll != nil
        if let count = KernelText.number("\(device)/napi_defer_hard_irqs"),
            let time = KernelText.number("\(device)/gro_flush_timeout")
        {
            deferral = (count, time)
        }
    }
}
