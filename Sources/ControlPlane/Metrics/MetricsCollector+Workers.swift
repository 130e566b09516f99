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
        out.family("xdplb_fragments_pending", .gauge, "Fragment table entries in use.")
        for (index, count) in census.fragments.enumerated() {
            out.sample("xdplb_fragments_pending", [("worker", "\(index)")], Double(count))
        }
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
        out.family("xdplb_snat_ports", .gauge, "Ports of a SNAT pool by state.")
        for pool in census.pools {
            for (state, count) in [
                ("used", pool.used), ("free", pool.free), ("quarantine", pool.resting),
            ] {
                out.sample(
                    "xdplb_snat_ports", [("pool", pool.name), ("state", state)], Double(count))
            }
        }
        out.family(
            "xdplb_snat_allocation_failures_total", .counter, "SNAT port allocations that failed.")
        for pool in census.pools {
            let failures = source.pages.reduce(0) { sum, page in
                pool.addresses.reduce(sum) { $0 &+ page[failuresOfSNATAddress: $1] }
            }
            out.sample("xdplb_snat_allocation_failures_total", [("pool", pool.name)], failures)
        }
        addPerWorker(
            "xdplb_handoff_packets_total", .counter,
            "Packets handed to the worker that owns their SNAT port.",
            [(("result", "ok"), .handedOff), (("result", "full"), .handOffFull)])
    }

    mutating func addICMP() {
        addPerFamily(
            "xdplb_icmp_too_big_sent_total",
            "ICMP packet-too-big messages sent because of the encapsulation overhead.",
            ipv4: .tooBigSentIPv4, ipv6: .tooBigSentIPv6)
        addPerFamily(
            "xdplb_icmp_forwarded_total",
            "ICMP errors delivered to the backend or client they concern.",
            ipv4: .errorsForwardedIPv4, ipv6: .errorsForwardedIPv6)
    }

    private mutating func addPerFamily(
        _ name: String, _ help: String, ipv4: Counter, ipv6: Counter
    ) {
        out.family(name, .counter, help)
        for (family, counter) in [("ipv4", ipv4), ("ipv6", ipv6)] {
            out.sample(name, [("family", family)], source.sums[counter])
        }
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
        addProcessingTimes()
    }

    private mutating func addProcessingTimes() {
        let name = "xdplb_packet_processing_seconds"
        out.family(
            name, .histogram,
            "Time from RX ring read to TX ring write (1 packet in 1024 is timed).")
        let buckets: [(Double, Counter)] = [
            (1e-06, .timedUpTo1), (2e-06, .timedUpTo2), (5e-06, .timedUpTo5),
            (1e-05, .timedUpTo10), (5e-05, .timedUpTo50), (0.0001, .timedUpTo100),
            (0.001, .timedUpTo1000),
        ]
        for (index, page) in source.pages.enumerated() {
            let times = DurationHistogram(
                bounds: buckets.map(\.0), counts: buckets.map { page[$0.1] } + [page[.timedBeyond]],
                sum: Double(page[.timedNanoseconds]) / 1e9)
            out.histogram(name, [("worker", "\(index)")], times)
        }
    }
}
