// SPDX-License-Identifier: Apache-2.0
internal import DataPlane

/// What each worker has and does: connections, SNAT, next hops, time.
extension MetricsCollector {
    // MARK: Connections, SNAT, next hops

    mutating func addConnections() {
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

    mutating func addPerWorker(
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

    mutating func addSNAT() {
        out.family(
            "xdplb_snat_allocation_failures_total", .counter, "SNAT port allocations that failed.")
        out.sample("xdplb_snat_allocation_failures_total", [], source.sums[Counter.snatExhausted])
        addPerWorker(
            "xdplb_handoff_packets_total", .counter,
            "Packets handed to the worker that owns their SNAT port.",
            [(("result", "ok"), .handedOff), (("result", "full"), .handOffFull)])
    }

    mutating func addGenerated() {
        addPerWorker(
            "xdplb_generated_packets_total", .counter,
            "Packets that the load balancer made itself.",
            [
                (("kind", "echo_reply"), .echoReplies), (("kind", "refusal"), .refusals),
                (("kind", "tunnel_error"), .tunnelErrors),
            ])
    }

    mutating func addNextHops() {
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

    mutating func addWorkers() {
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
