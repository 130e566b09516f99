// SPDX-License-Identifier: Apache-2.0
internal import ControlPlane
internal import XSKRing

/// Whether every queue that traffic may arrive on has a socket.
struct QueuesCheck: DoctorCheck {
    var interface: String
    var driver: String
    /// RX queues there are.
    var queueCount: Int
    var channels: InterfaceFacts.Channels?
    /// Queues that have sockets, or would get some.
    var bound: [Int]
    /// Whether they have them.
    var isRunning: Bool
    /// CPUs of the machine.
    var cpuCount: Int

    private static let check = "queues"
    /// Queues that the steering program has room for.
    private static let maximum = 256

    var findings: [Finding] {
        let findings = [uncovered, growth, excess].compactMap { $0 }
        guard findings.isEmpty else { return findings }
        return [
            .ok(
                Self.check,
                """
                \(interface): \(queueCount) queue\(queueCount == 1 ? "" : "s"), \
                \(isRunning ? "each with a socket" : "all of which get sockets")
                """)
        ]
    }

    private var uncovered: Finding? {
        let bypassed = queueCount - bound.count { $0 < queueCount }
        guard bypassed > 0 else { return nil }
        return .fail(
            Self.check,
            "\(interface): \(queueCount) queues, sockets on \(KernelText.list(of: bound))",
            "\(bypassed)/\(queueCount) of the VIP traffic bypasses xdplb",
            bound == Array(0..<bound.count)
                ? Remedy(command(bound.count))
                : Remedy(words: "'queues' that count from 0, or none for all"))
    }

    /// Attaching has virtio add a queue pair for each CPU where there is room.
    private var growth: Finding? {
        guard driver == "virtio_net", !isRunning, let channels,
            channels.combinedMaximum >= channels.combined + cpuCount
        else { return nil }
        return .fail(
            Self.check,
            """
            \(interface): \(channels.combined) of \(channels.combinedMaximum) channels, and virtio \
            adds \(cpuCount) when a program is attached
            """, "traffic on the added ones would bypass xdplb; start is refused",
            Remedy(command(channels.combinedMaximum)))
    }

    private var excess: Finding? {
        guard queueCount > Self.maximum else { return nil }
        return .fail(
            Self.check, "\(interface): \(queueCount) queues",
            "xdplb takes \(Self.maximum) at most", Remedy(command(Self.maximum)))
    }

    /// A driver has pairs of queues, or receive and transmit queues apart.
    private func command(_ count: Int) -> String {
        channels.map { $0.combined == 0 && $0.rx > 0 } ?? false
            ? "ethtool -L \(interface) rx \(count) tx \(count)"
            : "ethtool -L \(interface) combined \(count)"
    }
}

extension QueuesCheck {
    init(reading subject: DoctorSubject) {
        interface = subject.name
        driver = subject.interface.driver
        queueCount = subject.interface.rxQueueCount
        channels = subject.interface.channels
        bound =
            subject.running?.interface.queues ?? subject.configuration.interface.queues
            ?? Array(0..<queueCount)
        isRunning = subject.running != nil
        cpuCount =
            KernelText.numbers(
                in: KernelText.line("/sys/devices/system/cpu/online") ?? "0"
            ).count
    }
}
