// SPDX-License-Identifier: Apache-2.0
internal import DataPlane
internal import Foundation

/// Makes the metrics of this version from the counters.
///
/// Names, labels and HELP texts are the contract with the operator.
struct MetricsCollector {
    let source: AdminDocuments
    let census: Census
    var out = PrometheusText()

    init(_ source: AdminDocuments, _ census: Census) {
        self.source = source
        self.census = census
    }

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
        copy.addProbes()
        copy.addMaglev()
        copy.addConnections()
        copy.addSNAT()
        copy.addICMP()
        copy.addGenerated()
        copy.addNextHops()
        copy.addWorkers()
        return copy.out.text
    }

    // MARK: Process and change

    private mutating func addProcess() {
        out.family("xdplb_build_info", .gauge, "Build and kernel facts; always 1.")
        out.sample(
            "xdplb_build_info",
            [
                ("version", source.build.version), ("commit", source.build.commit),
                ("swift", ProcessFacts.swiftVersion), ("kernel", HostSystem.kernelRelease),
            ], 1.0)
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
        let reload = source.view.lastReload
        out.family(
            "xdplb_config_last_reload_successful", .gauge,
            "Whether the last reload was applied (1) or refused (0).")
        out.sample("xdplb_config_last_reload_successful", [], reload.isSuccessful ? 1.0 : 0)
        out.family(
            "xdplb_config_last_reload_success_timestamp_seconds", .gauge,
            "Unix time of the last applied reload.")
        out.sample(
            "xdplb_config_last_reload_success_timestamp_seconds", [],
            reload.succeededAt.timeIntervalSince1970)
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
}
