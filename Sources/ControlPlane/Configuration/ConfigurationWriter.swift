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
        lines.append("  on_unhealthy: \(service.policy.onUnhealthy.rawValue)")
        if service.policy.health.kind != .none {
            lines.append("  health: \(text(service.policy.health))")
        }
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

    private static func yaml(_ health: HealthConfiguration) -> [String] {
        var parts = [
            "type: \(health.kind.rawValue)", "interval: \(text(health.interval))",
            "timeout: \(text(health.timeout))", "rise: \(health.rise)", "fall: \(health.fall)",
            "jitter: \(health.jitter)%",
        ]
        if let port = health.port { parts.append("port: \(port)") }
        if health.kind == .http || health.kind == .https {
            parts.append("path: \(quoted(health.path))")
            if let host = health.host { parts.append("host: \(quoted(host))") }
            let statuses = health.statuses.map {
                $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound)-\($0.upperBound)"
            }
            var expect = ["status: \(quoted(statuses.joined(separator: ",")))"]
            if let body = health.body { expect.append("body: \(quoted(escaped(body)))") }
            parts.append("expect: {\(expect.joined(separator: ", "))}")
        }
        if health.kind == .dns { parts.append("query: \(quoted(health.query))") }
        if let tunnel = health.throughTunnel { parts.append("through_tunnel: \(tunnel)") }
        if health.fullSize { parts.append("full_size: true") }
        return parts
    }

    /// A health check in one line.
    static func text(_ health: HealthConfiguration) -> String {
        health.kind == .none ? "none" : "{\(yaml(health).joined(separator: ", "))}"
    }

    /// As YAML has it between double quotes (YAML 1.2 §5.7).
    private static func escaped(_ text: String) -> String {
        text.unicodeScalars.map { scalar in
            switch scalar {
            case "\"", "\\": "\\\(scalar)"
            case _ where scalar.value < 0x20 || scalar.value == 0x7f:
                "\\x" + (scalar.value < 16 ? "0" : "") + String(scalar.value, radix: 16)
            default: "\(scalar)"
            }
        }.joined()
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
    static func text(_ duration: Duration) -> String {
        let milliseconds = Int((duration.seconds * 1000).rounded())
        return milliseconds % 1000 == 0 ? "\(milliseconds / 1000)s" : "\(milliseconds)ms"
    }

    /// In quotes, so that YAML takes nothing in it for something else.
    private static func quoted(_ text: String) -> String { "\"\(text)\"" }
}
