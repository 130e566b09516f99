// SPDX-License-Identifier: Apache-2.0
internal import ControlPlane
internal import XSKRing

/// Whether workers are on the NUMA node of the NIC, as their memory is.
struct NodeCheck: DoctorCheck {
    var interface: String
    /// The NIC's node; `nil` when the machine has one, or the NIC is virtual.
    var node: Int?
    /// CPUs of that node.
    var nodeCPUs: [Int]
    /// CPUs of the workers.
    var workerCPUs: [Int]

    private static let check = "numa"

    var findings: [Finding] {
        guard let node, !nodeCPUs.isEmpty else {
            return [.ok(Self.check, "\(interface) is bound to no node")]
        }
        let distant = workerCPUs.filter { !nodeCPUs.contains($0) }
        guard !distant.isEmpty else {
            return [.ok(Self.check, "\(interface) and its workers are on node \(node)")]
        }
        return [
            .warn(
                Self.check,
                "\(interface) is on node \(node), workers on CPU \(KernelText.list(of: distant)) are not",
                "every frame crosses between nodes",
                Remedy(words: "'workers.cores' among \(KernelText.list(of: nodeCPUs))"))
        ]
    }
}

extension NodeCheck {
    init(reading subject: DoctorSubject) {
        interface = subject.name
        node = subject.interface.numaNode
        nodeCPUs = HostSystem.cpus(ofNode: node) ?? []
        workerCPUs = subject.workerCPUs.compactMap(\.self)
    }
}
