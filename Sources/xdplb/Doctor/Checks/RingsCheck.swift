// SPDX-License-Identifier: Apache-2.0
internal import ControlPlane
internal import XSKRing

/// Whether the rings of the NIC and of the sockets fit each other.
struct RingsCheck: DoctorCheck {
    var interface: String
    /// The NIC's own; `nil` when the driver does not tell.
    var nic: InterfaceFacts.Rings?
    /// Descriptors of the sockets' rings, by name.
    var sockets: [String: Int]

    private static let check = "rings"
    /// Descriptors of the NIC below which bursts were lost (igb with 256, 512 frames in flight).
    private static let enough = 512

    var findings: [Finding] {
        var findings: [Finding] = []
        for (name, size) in sockets.sorted(by: { $0.key < $1.key })
        where size < 1 || size & (size - 1) != 0 {
            findings.append(
                .fail(
                    Self.check, "\(name) has \(size) descriptors", "it must be a power of two",
                    Remedy(words: "\(name): \(Self.powerOfTwo(upTo: size))")))
        }
        if let nic, nic.rxMaximum > 0 { findings += judge(nic) }
        guard findings.isEmpty else { return findings }
        let own = nic.flatMap { $0.rxMaximum > 0 ? "NIC \($0.rx) of \($0.rxMaximum), " : nil } ?? ""
        return [.ok(Self.check, "\(own)RX \(sockets["rx_ring"] ?? 0), fill \(fill) descriptors")]
    }

    private var fill: Int { sockets["fill_ring"] ?? 0 }

    private func judge(_ nic: InterfaceFacts.Rings) -> [Finding] {
        var findings: [Finding] = []
        // The driver's maximum need not be a power of two: one reports 511.
        let wanted = min(4096, nic.rxMaximum)
        if nic.rx < min(Self.enough, nic.rxMaximum) {
            findings.append(
                .warn(
                    Self.check, "\(interface) has \(nic.rx) RX descriptors, of \(nic.rxMaximum)",
                    "bursts of more frames are lost in the NIC",
                    Remedy("ethtool -G \(interface) rx \(wanted)")))
        }
        if fill < nic.rx {
            findings.append(
                .warn(
                    Self.check, "fill_ring has \(fill) descriptors, the NIC's RX ring \(nic.rx)",
                    "with zero-copy the NIC's ring is never full of chunks",
                    Remedy(words: "fill_ring: \(Self.powerOfTwo(upTo: nic.rx * 2))")))
        }
        return findings
    }

    private static func powerOfTwo(upTo number: Int) -> Int {
        number < 1 ? 1 : 1 << (Int.bitWidth - 1 - number.leadingZeroBitCount)
    }
}

extension RingsCheck {
    init(reading subject: DoctorSubject) {
        let configured = subject.configuration.interface
        interface = subject.name
        nic = subject.interface.rings
        sockets = [
            "rx_ring": configured.rxRing, "tx_ring": configured.txRing,
            "fill_ring": configured.fillRing, "completion_ring": configured.completionRing,
        ]
    }
}
