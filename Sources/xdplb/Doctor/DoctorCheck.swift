// SPDX-License-Identifier: Apache-2.0

/// One thing that `xdplb doctor` looks at: facts, and the judgement on them.
///
/// Reading is apart from judging: a check is the value of its facts, which the host or a test
/// makes, and what it finds follows from them alone. Reading changes nothing on the host.
protocol DoctorCheck: Sendable {
    /// Reads the facts.
    init(reading subject: DoctorSubject)
    /// What follows from them, in the order to be told.
    var findings: [Finding] { get }
}

/// The checks.
enum Doctor {
    /// All of them, in the order to be told.
    static let checks: [any DoctorCheck.Type] = [
        KernelCheck.self, PrivilegesCheck.self, ProgramCheck.self, DriverCheck.self,
        AttachCheck.self, QueuesCheck.self, RingsCheck.self, OffloadsCheck.self, PeerCheck.self,
        MTUCheck.self, NeighboursCheck.self, VIPsCheck.self, HashCheck.self,
        InterruptsCheck.self, ProcessorsCheck.self, NodeCheck.self, BackendsCheck.self,
    ]

    /// What is certain before the daemon starts, cheap to see, and not refused in other words by
    /// what it does next.
    static let checksAtStart: [any DoctorCheck.Type] = [
        KernelCheck.self, PrivilegesCheck.self, OffloadsCheck.self,
    ]

    /// Makes checks and collects what they find.
    static func examine(
        _ subject: DoctorSubject, _ checks: [any DoctorCheck.Type] = checks
    ) -> [Finding] {
        checks.flatMap { $0.init(reading: subject).findings }
    }
}
