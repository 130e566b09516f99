// SPDX-License-Identifier: Apache-2.0
internal import DataPlane
internal import Foundation

/// Makes the metrics of this version from the counters.
///
/// Names, labels and HELP texts are the contract with the operator.
struct MetricsCollector {
    private let source: AdminDocuments
    private var out = PrometheusText()

    init(_ source: AdminDocuments) { self.source = source }

    /// All families.
    func text() -> String {
        var copy = self
        copy.addProcess()
        copy.addChange()
        copy.addInterface()
        copy.addDrops()
        copy.addSockets()
        copy.addServices()
        copy.addBackends()
        copy.addMaglev()
        copy.addConnections()
        copy.addSNAT()
        copy.addNextHops()
        copy.addWorkers()
        return copy.out.text
    }

    // MARK: Process and change

    private mutating func addProcess() {
        out.family("xdplb_build_info", .gauge, "Build and kernel facts; always 1.")
        out.sample(
            "xdplb_build_info",
            [("version", source.version), ("kernel", ProcessFacts.kernelRelease)], 1.0)
        out.family(
            "xdplb_start_time_seconds", .gauge,
            "Unix time the data plane (not the process) started; survives an upgrade.")
        out.sample("xdplb_start_time_seconds", [], source.view.startedAt.timeIntervalSince1970)
        let facts = ProcessFacts.read()
        out.family("process_cpu_seconds_total", .counter, "Processor time of the process.")
        out.sample("process_cpu_seconds_total", [], facts.cpuSeconds)
        out.family("process_resident_memory_bytes", .gauge, "Resident memory.")
        out.sample("process_resident_memory_bytes", [], Double(facts.residentBytes))
        out.family("process_open_fds", .gauge, "Open file descriptors.")
        out.sample("process_open_fds", [], Double(facts.openDescriptors))
    }

    private mutating func addChange() {
        out.family(
            "xdplb_config_differs_from_file", .gauge,
            "Whether run-time changes are in force that the file does not have.")
        out.sample(
            "xdplb_config_differs_from_file", [], source.view.differsFromFile == true ? 1.0 : 0)
        out.family("xdplb_snapshot_generation", .gauge, "Generation published last.")
        out.sample("xdplb_snapshot_generation", [], source.view.generation)
        out.family(
            "xdplb_worker_snapshot_generation", .gauge, "Generation the worker acknowledged.")
        for (index, page) in source.pages.enumerated() {
            out.sample(
                "xdplb_worker_snapshot_generation", [("worker", "\(index)")], page[.generation])
        }
    }

    // MARK: Interface and sockets

    private var interface: (String, String) { ("interface", source.facts.interface) }

    private mutating func addInterface() {
        let facts = source.facts
        out.family("xdplb_interface_info", .gauge, "Interface facts; always 1.")
        out.sample(
            "xdplb_interface_info",
            [
                interface, ("driver", facts.driver), ("attach_mode", facts.attachMode),
                ("bind_mode", facts.bindMode), ("numa_node", facts.numaNode.map(String.init) ?? ""),
            ], 1.0)
        addPerQueue("xdplb_rx_packets_total", "Packets taken from an RX ring.", .receivedPackets)
        addPerQueue("xdplb_rx_bytes_total", "Bytes taken from an RX ring.", .receivedBytes)
        addPerQueue("xdplb_tx_packets_total", "Packets put on a TX ring.", .transmittedPackets)
        addPerQueue("xdplb_tx_bytes_total", "Bytes put on a TX ring.", .transmittedBytes)
        out.family(
            "xdplb_xdp_packets_total", .counter,
            "Verdicts of the steering program, counted in the kernel.")
        let verdicts = [
            ("redirect", source.kernel.redirected), ("pass", source.kernel.passed),
            ("no_socket", source.kernel.withoutSocket),
        ]
        for (verdict, count) in verdicts {
            out.sample("xdplb_xdp_packets_total", [interface, ("verdict", verdict)], count)
        }
    }

    private mutating func addPerQueue(_ name: String, _ help: String, _ counter: Counter) {
        out.family(name, .counter, help)
        for (index, page) in source.pages.enumerated() {
            out.sample(
                name,
                [
                    interface, ("queue", "\(source.facts.workers[index].queue)"),
                    ("worker", "\(index)"),
                ],
                page[counter])
        }
    }

    private mutating func addDrops() {
        out.family(
            "xdplb_drops_total", .counter,
            "Packets dropped by the pipeline, by drop reason (closed set).")
        for reason in DropReason.allCases {
            out.sample(
                "xdplb_drops_total", [interface, ("reason", reason.token)], source.sums[reason])
        }
    }

    private mutating func addSockets() {
        out.family(
            "xdplb_xsk_drops_total", .counter,
            "Losses the kernel reports for an AF_XDP socket (XDP_STATISTICS).")
        for (queue, socket) in sockets {
            for (reason, count) in [
                ("rx_dropped", socket.rxDropped), ("rx_ring_full", socket.rxRingFull),
                ("rx_invalid", socket.rxInvalid), ("tx_invalid", socket.txInvalid),
            ] {
                out.sample(
                    "xdplb_xsk_drops_total", [interface, queue, ("reason", reason)], count)
            }
        }
        out.family(
            "xdplb_xsk_fill_ring_empty_total", .counter,
            "Times the kernel found the fill ring empty.")
        for (queue, socket) in sockets {
            out.sample(
                "xdplb_xsk_fill_ring_empty_total", [interface, queue], socket.fillRingEmpty)
        }
        out.family(
            "xdplb_xsk_tx_ring_empty_total", .counter, "Times the kernel found the TX ring empty.")
        for (queue, socket) in sockets {
            out.sample("xdplb_xsk_tx_ring_empty_total", [interface, queue], socket.txRingEmpty)
        }
        out.family(
            "xdplb_xsk_wakeups_total", .counter, "System calls made to wake the kernel.")
        for (page, (queue, _)) in zip(source.pages, sockets) {
            for (ring, counter) in [("tx", Counter.transmitWakeups), ("fill", .fillWakeups)] {
                out.sample(
                    "xdplb_xsk_wakeups_total", [interface, queue, ("ring", ring)], page[counter])
            }
        }
        out.family(
            "xdplb_umem_chunks", .gauge, "Chunks of the UMEM by owner; the sum is constant.")
        for (queue, socket) in sockets {
            for (owner, count) in socket.chunks.sorted(by: { $0.key < $1.key }) {
                out.sample(
                    "xdplb_umem_chunks", [interface, queue, ("owner", owner)], Double(count))
            }
        }
    }

    private var sockets: [((String, String), SocketCounters)] {
        zip(source.facts.workers, source.kernel.sockets).map { (("queue", "\($0.queue)"), $1) }
    }

    // MARK: Services and backends

    private mutating func addServices() {
        out.family(
            "xdplb_service_info", .gauge,
            "Service facts, one series per VIP and port; always 1.")
        for service in source.view.services {
            for key in service.keys {
                let mode = service.configuration.mode
                out.sample(
                    "xdplb_service_info",
                    [
                        label(service), ("vip", key.vip.description), ("port", "\(key.port)"),
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

    private mutating func addDirections(
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

    private mutating func addBackends() {
        out.family("xdplb_backend_admin_state", .gauge, "Admin state as a state set.")
        for (labels, backend) in backends {
            for state in AdminState.allCases {
                let isState = backend.configuration.adminState == state
                out.sample(
                    "xdplb_backend_admin_state", labels + [("admin_state", state.rawValue)],
                    isState ? 1.0 : 0)
            }
        }
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

    private var backends: [([(String, String)], BackendView)] {
        source.view.services.flatMap { service in
            service.backends.filter { !$0.isRemoved }.map { backend in
                ([label(service), ("backend", backend.configuration.name)], backend)
            }
        }
    }

    private mutating func addPerBackend(
        _ name: String, _ kind: PrometheusText.Kind, _ help: String,
        _ value: (BackendView) -> UInt64
    ) {
        out.family(name, kind, help)
        for (labels, backend) in backends { out.sample(name, labels, value(backend)) }
    }

    private mutating func addMaglev() {
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
    }

    private mutating func addPerService(
        _ name: String, _ kind: PrometheusText.Kind, _ help: String, _ value: (ServiceView) -> Int
    ) {
        out.family(name, kind, help)
        for service in source.view.services {
            out.sample(name, [label(service)], Double(value(service)))
        }
    }

    // MARK: Connections, SNAT, next hops

    private mutating func addConnections() {
        addPerWorker(
            "xdplb_connection_table_entries", .gauge, "Entries in use.", [(nil, .connections)])
        out.family(
            "xdplb_connection_table_capacity_entries", .gauge, "Entries the table can hold.")
        for index in source.pages.indices {
            out.sample(
                "xdplb_connection_table_capacity_entries", [("worker", "\(index)")],
                Double(source.facts.connectionsPerWorker))
        }
        addPerWorker(
            "xdplb_connection_table_lookups_total", .counter, "Lookups by result.",
            [(("result", "hit"), .lookupHits), (("result", "miss"), .lookupMisses)])
        addPerWorker(
            "xdplb_connection_table_inserts_total", .counter, "Inserts by result.",
            [(("result", "ok"), .insertions), (("result", "full"), .insertionsFull)])
        addPerWorker(
            "xdplb_connection_table_evictions_total", .counter, "Entries removed, by cause.",
            [
                (("reason", "idle"), .evictionsIdle), (("reason", "closed"), .evictionsClosed),
                (("reason", "pressure"), .evictionsPressure),
                (("reason", "flush"), .evictionsFlush),
            ])
    }

    private mutating func addPerWorker(
        _ name: String, _ kind: PrometheusText.Kind, _ help: String,
        _ counters: [((String, String)?, Counter)]
    ) {
        out.family(name, kind, help)
        for (index, page) in source.pages.enumerated() {
            for (label, counter) in counters {
                let labels = [("worker", "\(index)")] + (label.map { [$0] } ?? [])
                out.sample(name, labels, page[counter])
            }
        }
    }

    private mutating func addSNAT() {
        out.family(
            "xdplb_snat_allocation_failures_total", .counter, "SNAT port allocations that failed.")
        out.sample("xdplb_snat_allocation_failures_total", [], source.sums[Counter.snatExhausted])
        addPerWorker(
            "xdplb_handoff_packets_total", .counter,
            "Packets handed to the worker that owns their SNAT port.",
            [(("result", "ok"), .handedOff), (("result", "full"), .handOffFull)])
    }

    private mutating func addNextHops() {
        out.family("xdplb_next_hops", .gauge, "Next hops by state.")
        for state in [NextHopView.State.resolved, .pending, .failed] {
            let count = source.view.nextHops.count { $0.state == state }
            out.sample("xdplb_next_hops", [("state", state.rawValue)], Double(count))
        }
        out.family(
            "xdplb_next_hop_queue_packets_total", .counter,
            "Packets that waited for an unresolved next hop, by outcome.")
        for (result, counter) in [("sent", Counter.waitingSent), ("dropped", .waitingDropped)] {
            out.sample(
                "xdplb_next_hop_queue_packets_total", [("result", result)], source.sums[counter])
        }
    }

    // MARK: Workers

    private mutating func addWorkers() {
        out.family("xdplb_worker_cpu_seconds_total", .counter, "Worker time by state.")
        for (index, page) in source.pages.enumerated() {
            for (state, counter) in [
                ("busy", Counter.busyNanoseconds), ("idle", .idleNanoseconds),
                ("blocked", .blockedNanoseconds),
            ] {
                out.sample(
                    "xdplb_worker_cpu_seconds_total",
                    [("worker", "\(index)"), ("state", state)], Double(page[counter]) / 1e9)
            }
        }
        out.family("xdplb_worker_batch_packets", .histogram, "Packets per RX batch.")
        let name = "xdplb_worker_batch_packets"
        for (index, page) in source.pages.enumerated() {
            var sum: UInt64 = 0
            for (bound, counter) in [
                ("1", Counter.batchesUpTo1), ("8", .batchesUpTo8), ("16", .batchesUpTo16),
                ("32", .batchesUpTo32), ("64", .batchesUpTo64),
            ] {
                sum += page[counter]
                out.sample("\(name)_bucket", [("worker", "\(index)"), ("le", bound)], sum)
            }
            out.sample("\(name)_bucket", [("worker", "\(index)"), ("le", "+Inf")], sum)
            out.sample("\(name)_sum", [("worker", "\(index)")], page[.receivedPackets])
            out.sample("\(name)_count", [("worker", "\(index)")], sum)
        }
    }
}

/// What /proc says about this process.
struct ProcessFacts {
    var cpuSeconds: Double
    var residentBytes: Int
    var openDescriptors: Int

    static var kernelRelease: String {
        (try? String(contentsOfFile: "/proc/sys/kernel/osrelease", encoding: .utf8))?
            .trimmingCharacters(in: .whitespacesAndNewlines) ?? ""
    }

    static func read() -> ProcessFacts {
        var usage = rusage()
        _ = unsafe getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
        let pages =
            (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8))?
            .split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        let descriptors = try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")
        return ProcessFacts(
            cpuSeconds: seconds(usage.ru_utime) + seconds(usage.ru_stime),
            residentBytes: pages * Int(sysconf(Int32(_SC_PAGESIZE))),
            openDescriptors: descriptors?.count ?? 0)
    }
}
