// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import ControlPlane
import DataPlane

/// The command `xdplb bench`.
struct BenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract: "Measure the pipeline in memory: ns per packet.",
        discussion: """
            The production pipeline over 60-byte frames in memory: 16 services on 64 backends, \
            Maglev tables of 65537 slots, a connection table for 2097152 entries. Frames of flows \
            drawn at random are written into 4096 chunks before the clock starts; only the \
            pipeline's call for each batch is timed. Needs no root and no interface. Compare \
            medians of several runs, alternating: other load on the machine shows in all of them.

              xdplb bench --mode dsr --flows 100000
              xdplb bench --mode snat --flows 1000000 --new-flows -o json
            """)

    enum Mode: String, ExpressibleByArgument, CaseIterable { case dsr, snat }

    @Option(help: "How packets are forwarded: dsr or snat.") var mode = Mode.dsr
    @Option(help: "Flows that packets are drawn from, 1–2097152.") var flows = 100_000
    @Flag(help: "Every packet begins a flow.") var newFlows = false
    @Option(help: "Family of VIPs and backends: 4 or 6.") var family = 4
    @Option(help: "What frames carry: udp, tcp, or mixed over all services.")
    var traffic = BenchWorkload.Traffic.udp
    @Option(help: "Frames of a batch, 1–64.") var batch = Batch.capacity
    @Option(help: "Seconds to measure, 0.1–600.") var seconds = 2.0
    @Option(help: "Packets to measure instead of a time.") var packets: Int?
    @Flag(help: "Time the work on the rings as well, which then lie in plain memory.")
    var rings = false
    @Option(
        help: """
            Captures: none, off (a worker's look whether one runs, and none does), on (one that \
            takes every frame).
            """)
    var capture = BenchWorkload.Capture.none
    @Option(help: "Workers, each on a CPU of its own.") var workers = 1
    @OptionGroup var output: OutputOptions

    func validate() throws {
        func check(_ isRight: Bool, _ problem: String) throws {
            if !isRight { throw ValidationError(problem) }
        }
        try check(
            (1...BenchWorkload.connectionCapacity).contains(flows),
            "--flows \(flows) is not in 1–\(BenchWorkload.connectionCapacity)")
        try check(family == 4 || family == 6, "--family \(family) is neither 4 nor 6")
        try check((1...Batch.capacity).contains(batch), "--batch \(batch) is not in 1–64")
        try check((0.1...600).contains(seconds), "--seconds \(seconds) is not in 0.1–600")
        try check(packets.map { $0 > 0 } ?? true, "--packets must be above 0")
        try check(!rings || !newFlows, "--rings goes with tracked flows, not with --new-flows")
        try check((1...64).contains(workers), "--workers \(workers) is not in 1–64")
    }

    private var line: ProgressLine {
        ProgressLine(isShown: Terminal.isOutput && Terminal.isError)
    }

    /// Shows how far it is, for a person; a pipe gets the result alone.
    private func progress() -> ((_ measured: Duration?) -> Void)? {
        let line = line
        guard line.isShown else { return nil }
        return { measured in
            guard let measured = measured?.inSeconds else {
                line.show("filling the tables")
                return
            }
            let all = packets == nil ? " of \(Scaled.tenths(seconds)) s" : " s"
            let bar = packets == nil ? ProgressLine.bar(measured / seconds) + "  " : ""
            line.show("\(bar)measuring, \(Scaled.tenths(measured))\(all)")
        }
    }

    func run() throws {
        let workload = BenchWorkload(
            mode: mode == .dsr ? .dsr : .snat, flows: flows, isNewFlows: newFlows,
            family: family == 4 ? .ipv4 : .ipv6, traffic: traffic, batch: batch, seconds: seconds,
            packets: packets, includesRings: rings, workers: workers, capture: capture)
        let report: BenchRun.Report
        do {
            report = try BenchRun.measure(workload, progress())
        } catch {
            throw CommandFailure(.refused, "\(error)")
        }
        line.clear()
        try output.print(report) {
            var table = TableText(
                "MODE", ">FLOWS", "FAMILY", "TRAFFIC", ">BATCH", ">WORKERS", ">MIN", ">MEDIAN",
                ">P99", ">PACKETS", ">DROPS", ">ALLOCATIONS", ">TABLES")
            let time = report.nsPerPacket
            table.add(
                report.mode, "\(report.flows)" + (report.newFlows ? " new" : ""),
                "IPv\(report.family)", report.traffic, "\(report.batch)", "\(report.workers)",
                "\(time.min) ns", "\(time.median) ns", "\(time.p99) ns", "\(report.packets)",
                "\(report.drops)", "\(report.allocations)", Scaled.bytes(report.tableBytes))
            return table
        }
    }
}

extension BenchWorkload.Traffic: ExpressibleByArgument {}
extension BenchWorkload.Capture: ExpressibleByArgument {}
