// SPDX-License-Identifier: Apache-2.0
internal import ControlPlane
internal import DataPlane
internal import Glibc

/// Whether each backend answers, at its address and in the tunnel.
///
/// Two probes tell which part is at fault.
struct BackendsCheck: DoctorCheck {
    /// A backend and what came of its probes.
    struct Patient: Equatable, Sendable {
        /// The service's name.
        var service: String
        var name: String
        /// Address and port that were asked; an echo request has no port.
        var address: Endpoint
        /// VIP and port that were asked in the tunnel.
        var vip: Endpoint
        /// The service's VIPs.
        var vips: [IPAddress]
        /// What its tunnels come from, that the backend must trust.
        var trusted: IPPrefix?
        /// What came of asking its address.
        var direct: ProbeOutcome
        /// What came of asking in the tunnel; `nil` when there is none, as in `snat`.
        var tunnel: ProbeOutcome?
        /// Bytes of a packet that fills the tunnel but is lost in it; `nil` when none is.
        var lostByteCount: Int?
    }

    var patients: [Patient]
    /// Services whose backends cannot be probed, and why.
    var unprobed: [String: String]

    private static let check = "backend"

    var findings: [Finding] {
        let bad = patients.compactMap(judge)
        let names = patients.map(\.service).uniqued()
        let good = names.compactMap(summary)
        let narrow = patients.filter { judge($0) == nil }.compactMap(judgeSize)
        let skipped = unprobed.sorted { $0.key < $1.key }
            .map { Finding.info(Self.check, "\($0.key): not probed", $0.value) }
        return good + bad + narrow + skipped
    }

    /// A line for those of a service that answer.
    private func summary(_ service: String) -> Finding? {
        let all = patients.filter { $0.service == service }
        let good = all.filter { judge($0) == nil }
        guard !good.isEmpty else { return nil }
        let inTunnel = good.contains { $0.tunnel != nil } ? ", in the tunnel too" : ""
        return .ok(Self.check, "\(service): \(good.count) of \(all.count) answer\(inTunnel)")
    }

    /// What is wrong with a backend; `nil` when nothing is.
    private func judge(_ patient: Patient) -> Finding? {
        guard let tunnel = patient.tunnel else { return judgeDirect(patient) }
        if tunnel.isForbidden {
            return judgeDirect(patient)
                ?? .info(
                    Self.check, "\(patient.label): not probed in the tunnel", "it needs CAP_NET_RAW"
                )
        }
        switch tunnel.result {
        // Clients come by the tunnel only.
        case .success: return nil
        case .refused:
            return .fail(
                Self.check, "\(patient.label): \(patient.vip) in the tunnel is refused",
                "it decapsulates, but nothing listens at the VIP there",
                Remedy(words: "on \(patient.name): have the server listen at \(patient.vip)"))
        case .badReply:
            return wrongAnswer(patient, "\(patient.vip) in the tunnel", tunnel.detail)
        case .timeout, .error: return judgeTunnel(patient, tunnel)
        }
    }

    private func judgeDirect(_ patient: Patient) -> Finding? {
        if patient.direct.isForbidden {
            return .info(Self.check, "\(patient.label): not probed", "it needs CAP_NET_RAW")
        }
        switch patient.direct.result {
        case .success: return nil
        case .refused:
            return .fail(
                Self.check, "\(patient.label): \(patient.address) refuses",
                "nothing listens there",
                Remedy(words: "on \(patient.name): start the server, or correct the port"))
        case .badReply: return wrongAnswer(patient, "\(patient.address)", patient.direct.detail)
        case .timeout, .error: return unreachable(patient)
        }
    }

    private func judgeTunnel(_ patient: Patient, _ tunnel: ProbeOutcome) -> Finding? {
        if tunnel.refusedTunnel != nil {
            return .fail(
                Self.check, "\(patient.label): it rejects tunnels by ICMP",
                "no decapsulation there", patient.decapsulation)
        }
        switch patient.direct.result {
        case .success, .badReply:
            return .fail(
                Self.check,
                "\(patient.label): \(patient.address) answers, \(patient.vip) in the tunnel does not",
                "no decapsulation there, no VIP, or rp_filter", patient.decapsulation)
        case .refused:
            return .fail(
                Self.check,
                "\(patient.label): \(patient.address) refuses, \(patient.vip) in the tunnel is silent",
                "nothing listens there, and no decapsulation or no VIP", patient.decapsulation)
        case .timeout, .error: return unreachable(patient)
        }
    }

    private func wrongAnswer(_ patient: Patient, _ place: String, _ answer: String) -> Finding {
        .fail(
            Self.check, "\(patient.label): \(place) answers \(answer)", "the server does not serve",
            Remedy(words: "on \(patient.name): look at the server's own log"))
    }

    private func unreachable(_ patient: Patient) -> Finding {
        let inTunnel = patient.tunnel == nil ? "" : ", \(patient.vip) in the tunnel neither"
        return .fail(
            Self.check,
            "\(patient.label): \(patient.address) does not answer\(patient.reason)\(inTunnel)",
            "the backend is down or unreachable",
            Remedy(words: "see whether it is up: ping \(patient.address.address)"))
    }

    /// Whether packets that fill the tunnel get through it.
    private func judgeSize(_ patient: Patient) -> Finding? {
        guard let lost = patient.lostByteCount else { return nil }
        let outer = patient.address.address.family == .ipv4 ? 20 : 40
        return .warn(
            Self.check,
            "\(patient.label): packets of \(lost) bytes are lost in the tunnel, small ones pass",
            "the MTU on the way is less than \(lost + outer)",
            Remedy(
                words: """
                    raise it on the way to \(patient.address.address), or lower the MTU of the \
                    interface here
                    """))
    }
}

extension ProbeOutcome {
    /// Whether it could not be sent for lack of a capability.
    fileprivate var isForbidden: Bool { error == EPERM || error == EACCES }
}

extension BackendsCheck.Patient {
    /// As commands name it.
    fileprivate var label: String { "\(service)/\(name)" }

    /// What the kernel said of the probe to its address, if anything.
    fileprivate var reason: String {
        direct.detail.isEmpty ? "" : " (\(direct.detail.lowercased()))"
    }

    /// Has the backend take the tunnels apart.
    fileprivate var decapsulation: Remedy {
        let vips = vips.map { " --vip \($0)" }.joined()
        let trust = trusted.map { " --trust \($0)" } ?? ""
        return Remedy("xdplb decap attach --interface eth0\(vips)\(trust) --setup", on: name)
    }
}
