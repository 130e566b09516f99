// SPDX-License-Identifier: Apache-2.0
internal import DataPlane

/// Services, backends and their Maglev tables.
extension MetricsCollector {
    mutating func addServices() {
        out.family(
            "xdplb_service_info", .gauge,
            "Service facts, one series per VIP and port; always 1.")
        for service in source.view.services {
            for key in service.keys {
                let mode = service.configuration.mode
                out.sample(
                    "xdplb_service_info",
                    [
                        label(service), ("vip", key.vipText),
                        ("port", ServiceKey.text(of: key.ports)),
                        ("protocol", key.transport.description), ("mode", mode.description),
                        ("encapsulation", mode == .dsr ? "ipip" : "none"),
                    ], 1.0)
            }
        }
        addDirections(
            "xdplb_service_packets_total", "Packets matched to the service.", .packetsIn,
            .packetsOut)
        addDirections(
            "xdplb_service_bytes_total", "IP bytes matched to the service.", .bytesIn, .bytesOut)
        out.family("xdplb_service_connections_total", .counter, "New connections admitted.")
        for service in source.view.services {
            out.sample(
                "xdplb_service_connections_total", [label(service)],
                source.sums[service: service.id, .newConnections])
        }
        out.family("xdplb_service_connections", .gauge, "Connections tracked now.")
        for service in source.view.services {
            out.sample(
                "xdplb_service_connections", [label(service)],
                source.sums[service: service.id, .connections])
        }
        out.family(
            "xdplb_service_backends", .gauge, "Backends of the service by admin state.")
        for service in source.view.services {
            for state in AdminState.allCases {
                let count = service.backends.count {
                    !$0.isRemoved && $0.configuration.adminState == state
                }
                out.sample(
                    "xdplb_service_backends",
                    [label(service), ("admin_state", state.rawValue)], Double(count))
            }
        }
        out.family(
            "xdplb_service_eligible_backends", .gauge,
            "Backends that may receive new connections.")
        for service in source.view.services {
            out.sample(
                "xdplb_service_eligible_backends", [label(service)], Double(service.eligibleCount))
        }
    }

    private func label(_ service: ServiceView) -> (String, String) {
        ("service", service.configuration.name)
    }

    mutating func addDirections(
        _ name: String, _ help: String, _ inward: ServiceCounter, _ outward: ServiceCounter
    ) {
        out.family(name, .counter, help)
        for service in source.view.services {
            for (direction, counter) in [("in", inward), ("out", outward)] {
                out.sample(
                    name, [label(service), ("direction", direction)],
                    source.sums[service: service.id, counter])
            }
        }
    }

    mutating func addBackends() {
        out.family("xdplb_backend_admin_state", .gauge, "Admin state as a state set.")
        for (labels, backend) in backends {
            for state in AdminState.allCases {
                let isState = backend.configuration.adminState == state
                out.sample(
                    "xdplb_backend_admin_state", labels + [("admin_state", state.rawValue)],
                    isState ? 1.0 : 0)
            }
        }
        addHealth()
        addPerBackend("xdplb_backend_weight", .gauge, "Weight in force.") {
            UInt64($0.configuration.weight)
        }
        addPerBackend(
            "xdplb_backend_maglev_slots", .gauge, "Slots of the Maglev table held by the backend."
        ) { UInt64($0.slots) }
        let sums = source.sums
        addPerBackend(
            "xdplb_backend_connections", .gauge, "Connections pinned to the backend."
        ) { sums[backend: $0.id, .connections] }
        addPerBackend("xdplb_backend_packets_total", .counter, "Packets sent to the backend.") {
            sums[backend: $0.id, .packets]
        }
        addPerBackend("xdplb_backend_bytes_total", .counter, "IP bytes sent to the backend.") {
            sums[backend: $0.id, .bytes]
        }
    }

    var backends: [([(String, String)], BackendView)] {
        source.view.services.flatMap { service in
            service.backends.filter { !$0.isRemoved }.map { backend in
                ([label(service), ("backend", backend.configuration.name)], backend)
            }
        }
    }

    mutating func addPerBackend(
        _ name: String, _ kind: PrometheusText.Kind, _ help: String,
        _ value: (BackendView) -> UInt64
    ) {
        out.family(name, kind, help)
        for (labels, backend) in backends { out.sample(name, labels, value(backend)) }
    }

    mutating func addMaglev() {
        addPerService("xdplb_maglev_table_slots", .gauge, "Size of the Maglev table.") {
            $0.maglev.count
        }
        out.family(
            "xdplb_maglev_table_fingerprint_info", .gauge,
            "Fingerprint of the Maglev table; equal on every load balancer of a fleet; always 1.")
        for service in source.view.services {
            out.sample(
                "xdplb_maglev_table_fingerprint_info",
                [label(service), ("fingerprint", service.fingerprint)], 1.0)
        }
        addPerService("xdplb_maglev_rebuilds_total", .counter, "Table rebuilds.") { $0.rebuilds }
        addPerService(
            "xdplb_maglev_rebuild_moved_slots_total", .counter,
            "Slots that changed owner at rebuilds."
        ) { $0.movedSlots }
        let name = "xdplb_maglev_rebuild_duration_seconds"
        out.family(name, .histogram, "Time a rebuild took.")
        for service in source.view.services {
            out.histogram(name, [label(service)], service.buildTimes)
        }
    }

    mutating func addPerService(
        _ name: String, _ kind: PrometheusText.Kind, _ help: String, _ value: (ServiceView) -> Int
    ) {
        out.family(name, kind, help)
        for service in source.view.services {
            out.sample(name, [label(service)], Double(value(service)))
        }
    }
}
