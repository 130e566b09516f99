// SPDX-License-Identifier: Apache-2.0
internal import DataPlane

/// Writes configuration values as the YAML that the reader takes.
public enum ConfigurationWriter {
    /// A service as an element of `services`, to be pasted into a file.
    public static func yaml(_ service: ServiceConfiguration) -> String {
        var lines = ["- name: \(quoted(service.name))"]
        lines.append(
            "  vips: [\(service.vips.map { quoted($0.shortText) }.joined(separator: ", "))]")
        let ports = service.ports.map(\.description)
        lines.append("  ports: [\(ports.joined(separator: ", "))]")
        lines.append("  mode: \(service.mode)")
        if let pool = service.snatPool { lines.append("  snat_pool: \(quoted(pool))") }
        lines.append("  affinity: \(service.policy.affinity.rawValue)")
        lines.append("  on_no_backend: \(service.policy.onNoBackend.rawValue)")
        if !service.sourceRanges.isEmpty {
            let ranges = service.sourceRanges.map { quoted($0.shortText) }
            lines.append("  source_ranges: [\(ranges.joined(separator: ", "))]")
        }
        if service.minimumBackends != 1 {
            lines.append("  minimum_backends: \(service.minimumBackends)")
        }
        let timeouts = service.policy.timeouts
        lines.append(
            """
              timeouts: {tcp_established: \(text(timeouts.tcpEstablished)), tcp_transitory: \
            \(text(timeouts.tcpTransitory)), udp: \(text(timeouts.udp)), icmp: \(text(timeouts.icmp))}
            """)
        lines.append("  drain_timeout: \(text(service.policy.drainTimeout))")
        if let owner = service.backendsFrom {
            lines.append("  backends_from: \(quoted(owner))")
        } else if service.backends.isEmpty {
            lines.append("  backends: []")
        } else {
            lines.append("  backends:")
            lines += service.backends.map(yaml)
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func yaml(_ backend: BackendConfiguration) -> String {
        var parts = ["name: \(quoted(backend.name))"]
        parts.append("address: \(quoted(backend.endpoint.description))")
        parts.append("weight: \(backend.weight)")
        if backend.adminState != .active {
            parts.append("admin_state: \(backend.adminState.rawValue)")
        }
        return "  - {\(parts.joined(separator: ", "))}"
    }

    /// In milliseconds unless it is whole seconds, so that nothing is lost.
    private static func text(_ duration: Duration) -> String {
        let milliseconds = Int((duration.seconds * 1000).rounded())
        return milliseconds % 1000 == 0 ? "\(milliseconds / 1000)s" : "\(milliseconds)ms"
    }

    /// In quotes, so that YAML takes nothing in it for something else.
    private static func quoted(_ text: String) -> String { "\"\(text)\"" }
}
