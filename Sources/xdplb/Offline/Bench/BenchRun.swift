// SPDX-License-Identifier: Apache-2.0
internal import CPlatform
internal import CXDP
internal import DataPlane
internal import Foundation
internal import Synchronization
internal import XSKRing

/// Runs the workers of `bench`, each on a CPU of its own, and puts their figures together.
enum BenchRun {
    /// What `bench -o json` prints.
    struct Report: Codable, Sendable {
        struct Nanoseconds: Codable, Sendable {
            var min: Double
            var median: Double
            var p99: Double
        }

        var mode: String
        var flows: Int
        var newFlows: Bool
        var family: Int
        var traffic: String
        var batch: Int
        var workers: Int
        var rings: Bool
        var capture: String
        var nsPerPacket: Nanoseconds
        /// Of all workers together, the writing of frames left out.
        var packets: Int
        var drops: Int
        var allocations: UInt64
        var tableBytes: Int
    }

    /// Measures a workload.
    ///
    /// - Parameters:
    ///   - workload: What is measured.
    ///   - progress: Told a few times a second how long all workers have measured, `nil` while they
    ///     fill their tables.
    /// - Returns: What was measured.
    /// - Throws: When the kernel gives no memory.
    static func measure(
        _ workload: BenchWorkload, _ progress: ((Duration?) -> Void)? = nil
    ) throws -> Report {
        let frequency = cyclesPerNanosecond()
        let cpus = HostResources.cpus(configured: nil, workers: workload.workers)
        let results = Mutex<[Swift.Result<BenchWorker.Result, XSKError>]>([])
        let done = DispatchSemaphore(value: 0)
        let ready = Ready()
        for index in 0..<workload.workers {
            let cpu = cpus[index]
            Thread.detachNewThread {
                _ = unsafe cplatform_name_and_pin_thread("bench-\(index)", Int32(cpu ?? -1))
                let result = Swift.Result { () throws(XSKError) in
                    try BenchWorker(workload).run { ready.count.add(1, ordering: .relaxed) }
                }
                results.withLock { $0.append(result) }
                done.signal()
            }
        }
        wait(for: workload.workers, done, ready, progress)
        let all = try results.withLock { try $0.map { try $0.get() } }
        return report(workload, all, frequency)
    }

    /// Workers that have filled their tables.
    private final class Ready: Sendable {
        let count = Atomic<Int>(0)
    }

    private static func wait(
        for workers: Int, _ done: DispatchSemaphore, _ ready: Ready,
        _ progress: ((Duration?) -> Void)?
    ) {
        var left = workers
        var since: ContinuousClock.Instant?
        while left > 0 {
            // Nobody is to be woken while it measures, unless somebody looks.
            let end = progress == nil ? DispatchTime.distantFuture : .now() + .milliseconds(200)
            if done.wait(timeout: end) == .success {
                left -= 1
                continue
            }
            let isMeasuring = ready.count.load(ordering: .relaxed) == workers
            if isMeasuring, since == nil { since = .now }
            progress?(since.map { .now - $0 })
        }
    }

    private static func report(
        _ workload: BenchWorkload, _ all: [BenchWorker.Result], _ frequency: Double
    ) -> Report {
        var cycles = CycleHistogram()
        for result in all { cycles.merge(result.cycles) }
        func nanoseconds(_ share: Double) -> Double {
            let each = cycles.quantile(share) / frequency / Double(workload.batch)
            return (each * 100).rounded() / 100
        }
        return Report(
            mode: workload.mode == .dsr ? "dsr" : "snat", flows: workload.flows,
            newFlows: workload.isNewFlows, family: workload.family == .ipv4 ? 4 : 6,
            traffic: workload.traffic.rawValue, batch: workload.batch, workers: workload.workers,
            rings: workload.includesRings, capture: workload.capture.rawValue,
            nsPerPacket: .init(
                min: nanoseconds(0), median: nanoseconds(0.5), p99: nanoseconds(0.99)),
            packets: all.map(\.packets).reduce(0, +), drops: all.map(\.drops).reduce(0, +),
            allocations: all.map(\.allocations).reduce(0, +),
            tableBytes: all.map(\.tableBytes).reduce(0, +))
    }

    /// How fast the processor's clock runs, by comparison with the system's over 50 ms.
    private static func cyclesPerNanosecond() -> Double {
        let start = (BenchWorker.seconds(), xdplb_cycles())
        while BenchWorker.seconds() - start.0 < 0.05 {}
        let cycles = xdplb_cycles() &- start.1
        return Double(cycles) / (BenchWorker.seconds() - start.0) / 1e9
    }
}
