// SPDX-License-Identifier: Apache-2.0
internal import XSKRing

/// Whether the NIC hands over frames as they were on the wire.
struct OffloadsCheck: DoctorCheck {
    var driver: String
    /// Features that are on; `nil` when the driver does not tell.
    var offloads: OffloadFacts?

    private static let check = "offloads"
    /// Names in the kernel, to people, and to ethtool.
    private static let merging = [
        (feature: "rx-lro", name: "large-receive-offload", switch: "lro"),
        (feature: "rx-gro-hw", name: "rx-gro-hw", switch: "rx-gro-hw"),
    ]

    var findings: [Finding] {
        guard let offloads else {
            return [.info(Self.check, "the driver does not tell its offloads")]
        }
        let findings = Self.merging.filter(isOn).map {
            Finding.fail(
                Self.check, "\($0.name) is on", "merged frames cannot be forwarded",
                Remedy("ethtool -K \(offloads.interface) \($0.switch) off"))
        }
        return findings.isEmpty
            ? [.ok(Self.check, "\(offloads.interface): nothing merges frames")] : findings
    }

    private func isOn(_ feature: String, _: String, _: String) -> Bool {
        // virtio turns it off itself when a program is attached, or refuses the program.
        guard driver != "virtio_net" || feature != "rx-gro-hw" else { return false }
        return offloads?.active.contains(feature) ?? false
    }
}

extension OffloadsCheck {
    init(reading subject: DoctorSubject) {
        driver = subject.interface.driver
        offloads = OffloadFacts(interface: subject.name)
    }
}

/// Whether the other end of a veth finishes the checksums of what it hands over.
///
/// On a wire somebody must; a veth passes a packet on with its checksum begun and a note for the
/// kernel at this end, which xdplb never sees.
struct PeerCheck: DoctorCheck {
    /// The other end.
    enum Peer: Equatable, Sendable {
        /// There is none: it is no veth.
        case none
        /// It could not be read: where it is, is not shown here.
        case hidden
        /// It was read; how to run a command where it is.
        case read(OffloadFacts, prefix: String)
    }

    var interface: String
    var driver: String
    var peer: Peer

    private static let check = "offloads"
    /// Features that leave something for the receiver, and what ethtool calls them.
    private static let unfinished = [
        ("tx", ["tx-checksum-ip-generic", "tx-checksum-ipv4", "tx-checksum-ipv6"]),
        ("tso", ["tx-tcp-segmentation", "tx-tcp6-segmentation"]),
        ("gso", ["tx-generic-segmentation"]),
    ]

    var findings: [Finding] {
        switch peer {
        case .none:
            // What writes to a tap is a process, which no command asks.
            guard driver == "tun" else { return [] }
            return [
                .info(
                    Self.check, "\(interface) is a tap device",
                    "what writes to it must finish checksums, or backends drop the packets")
            ]
        case .hidden:
            return [
                .warn(
                    Self.check, "the other end of the veth \(interface) is out of sight",
                    "with its tx checksum, TSO or GSO on, backends drop the packets",
                    Remedy(words: "where it is: ethtool -K PEER tx off tso off gso off")
                )
            ]
        case .read(let offloads, let prefix): return [judge(offloads, prefix)]
        }
    }

    private func judge(_ offloads: OffloadFacts, _ prefix: String) -> Finding {
        let on = Self.unfinished.filter { !offloads.active.isDisjoint(with: $0.1) }.map(\.0)
        guard !on.isEmpty else {
            return .ok(Self.check, "\(offloads.interface), its other end, finishes checksums")
        }
        let fact = """
            \(offloads.interface), the other end of \(interface), has \(on.joined(separator: ", ")) on
            """
        let remedy = Remedy(
            "\(prefix)ethtool -K \(offloads.interface) "
                + on.map { "\($0) off" }.joined(separator: " "))
        return .fail(
            Self.check, fact, "partial checksums, and backends drop the packets", remedy)
    }
}
