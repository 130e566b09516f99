// SPDX-License-Identifier: Apache-2.0

/// What probes found, and how long they took.
extension MetricsCollector {
    mutating func addHealth() {
        out.family("xdplb_backend_health", .gauge, "Health as a state set.")
        for (labels, backend) in backends {
            let found = backend.health?.health ?? .unknown
            for health in BackendHealth.allCases {
                out.sample(
                    "xdplb_backend_health", labels + [("health", health.rawValue)],
                    found == health ? 1.0 : 0)
            }
        }
    }

    mutating func addProbes() {
        let probed = backends.compactMap { labels, backend in
            backend.health.map { (labels, $0) }
        }
        out.family("xdplb_health_checks_total", .counter, "Probes by result.")
        for (labels, state) in probed {
            for result in ProbeResult.allCases {
                out.sample(
                    "xdplb_health_checks_total", labels + [("result", result.rawValue)],
                    state.counts[result] ?? 0)
            }
        }
        let name = "xdplb_health_check_duration_seconds"
        out.family(name, .histogram, "Time a probe took.")
        for (labels, state) in probed {
            out.histogram(name, labels, state.durations)
        }
    }
}
