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
        /// Address and port that were connected to.
        var address: Endpoint
        /// VIP and port that were connected to in the tunnel.
        var vip: Endpoint
        /// The service's VIPs.
        var vips: [IPAddress]
        /// What its tunnels come from, that the backend must trust.
        var trusted: IPPrefix?
        /// What came of the connection to its address.
        var direct: AttemptOutcome
        /// What came of the one in the tunnel; `nil` when there is none, as in `snat`.
        var tunnel: AttemptOutcome?
    }

    var patients: [Patient]
    /// Services whose backends cannot be probed, and why.
    var unprobed: [String: String]

    private static let check = "backend"

    var findings: [Finding] {
        let bad = patients.compactMap(judge)
        let names = patients.map(\.service).uniqued()
        let good = names.compactMap(summary)
        let skipped = unprobed.sorted { $0.key < $1.key }
            .map { Finding.info(Self.check, "\($0.key): not probed", $0.value) }
        return good + bad + skipped
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
        switch tunnel {
        // Clients come by the tunnel only.
        case .answered: return nil
        case .error(EPERM), .error(EACCES):
            return judgeDirect(patient)
                ?? .info(
                    Self.check, "\(patient.label): not probed in the tunnel", "it needs CAP_NET_RAW"
                )
        case .refused:
            return .fail(
                Self.check, "\(patient.label): \(patient.vip) in the tunnel is refused",
                "it decapsulates, but nothing listens at the VIP there",
                Remedy(words: "on \(patient.name): have the server listen at \(patient.vip)"))
        case .timeout, .error: return judgeTunnel(patient, tunnel)
        }
    }

    private func judgeDirect(_ patient: Patient) -> Finding? {
        switch patient.direct {
        case .answered: return nil
        case .refused:
            return .fail(
                Self.check, "\(patient.label): \(patient.address) refuses",
                "nothing listens there",
                Remedy(words: "on \(patient.name): start the server, or correct the port"))
        case .timeout, .error: return unreachable(patient)
        }
    }

    private func judgeTunnel(_ patient: Patient, _ tunnel: AttemptOutcome) -> Finding? {
        if tunnel == .error(ENOPROTOOPT) || tunnel == .error(EPROTO) {
            return .fail(
                Self.check, "\(patient.label): it says by ICMP that it takes no tunnels",
                "no decapsulation there", patient.decapsulation)
        }
        switch patient.direct {
        case .answered:
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

    private func unreachable(_ patient: Patient) -> Finding {
        let inTunnel = patient.tunnel == nil ? "" : ", \(patient.vip) in the tunnel neither"
        return .fail(
            Self.check,
            "\(patient.label): \(patient.address) does not answer\(patient.reason)\(inTunnel)",
            "the backend is down or unreachable",
            Remedy(words: "see whether it is up: ping \(patient.address.address)"))
    }
}

extension BackendsCheck.Patient {
    /// As commands name it.
    fileprivate var label: String { "\(service)/\(name)" }

    /// The errno of the probe to its address, if there was one.
    fileprivate var reason: String {
        guard case .error(let number) = direct else { return "" }
        return " (\(unsafe String(cString: strerror(number)).lowercased()))"
    }

    /// Has the backend take the tunnels apart.
    fileprivate var decapsulation: Remedy {
        let vips = vips.map { " --vip \($0)" }.joined()
        let trust = trusted.map { " --trust \($0)" } ?? ""
        return Remedy("xdplb decap attach --interface eth0\(vips)\(trust) --setup", on: name)
    }
}
