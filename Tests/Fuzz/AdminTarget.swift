// SPDX-License-Identifier: Apache-2.0
@testable import ControlPlane
import DataPlane
import Dispatch
import Logging
import TestSupport

/// Requests to the admin API: a method, a target and a body, each on its line.
///
/// Every answer has a status that a client can act on; 500 is a defect. The reconciler behind it
/// is a real one, and its state holds over the requests of one input.
enum AdminTarget {
    private static let methods = ["GET", "PUT", "PATCH", "DELETE", "POST", "HEAD", "OPTIONS"]
    private static let expected: Set<Int> = [200, 400, 403, 404, 405, 409, 412, 413, 503, 504]

    static func run(_ input: UnsafeRawBufferPointer) {
        let text = unsafe String(decoding: input, as: UTF8.self)
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        let done = DispatchSemaphore(value: 0)
        Task {
            await serve(lines)
            done.signal()
        }
        done.wait()
    }

    private static func serve(_ lines: [String]) async {
        guard let surface = try? await AdminSurface(AdminFixture.reconciler(), AdminFixture.link)
        else { fatalError("no API") }
        for start in stride(from: 0, to: lines.count, by: 3).prefix(8) {
            let first = lines[start]
            let method = methods.first { $0 == first } ?? methods[first.utf8.count % methods.count]
            let target = start + 1 < lines.count ? lines[start + 1] : "/"
            let body = start + 2 < lines.count ? lines[start + 2] : ""
            guard let status = await surface.status(of: method, target, body) else { continue }
            require(expected.contains(status), "\(method) \(target) \(body): \(status)")
        }
    }
}

/// A control plane whose data path takes everything.
enum AdminFixture {
    static let link = SilentLink()

    static func reconciler() throws -> Reconciler {
        var configuration = Configuration(interface: InterfaceConfiguration(name: "lb0"))
        configuration.services = [
            ServiceConfiguration(
                name: "web", vips: [IPPrefix(PlanFixture.address("40.1.1.1"))],
                ports: [ServicePort(port: 80, transport: .tcp)], mode: .snat,
                backends: ["20.1.1.10", "20.1.1.20"].map {
                    BackendConfiguration(address: PlanFixture.address($0))
                })
        ]
        configuration.maglev.tableSize = 251
        let observed = ObservedState(
            mac: .zero, mtu: 1500, isUp: true, addresses: [PlanFixture.address("20.1.1.1")],
            routes: [.init(prefix: .everywhere(.ipv4), gateway: nil)], neighbours: [:])
        let capacity = PipelineCapacity(
            connections: 64, snatBackends: 64, snatAddresses: 4, snatPortsPerAddress: 64)
        return try Reconciler(
            .init(
                configuration: configuration, observed: observed,
                hashKey: PlanFixture.key, capacity: capacity, workerCount: 1,
                interfacePorts: [1024...65535]), link: link,
            events: EventLog(Logger(label: "fuzz") { _ in SwiftLogNoOpLogHandler() }))
    }

    final class SilentLink: DataPlaneHandle {
        let facts = DataPlaneFacts(
            interface: "lb0", interfaceIndex: 2, driver: "veth", attachMode: "native",
            bindMode: "copy", numaNode: nil, workers: [WorkerFacts(queue: 0, cpu: nil)],
            umemBytes: 0, tableBytes: 0, connectionsPerWorker: 64, usesHugePages: false)
        var counterPages: [CounterPage] { [] }

        func publish(_ plan: ForwardingPlan) async throws(PublishError) {
            _ = ForwardingSnapshot(plan)
        }

        func scan(
            _ filter: ConnectionFilter, _ action: ConnectionScan.Action
        ) async -> [ConnectionScan] {
            let scan = ConnectionScan(filter, action)
            scan.finish()
            return [scan]
        }

        func trace(
            _ packet: ProbePacket, under plan: ForwardingPlan, _ connection: ConnectionRecord?
        ) async throws(PublishError) -> (facts: TraceFacts, outcome: TraceOutcome) {
            let frame = packet.frame(to: plan.link)
            return (
                ForwardingSnapshot(plan).facts(about: frame),
                TraceOutcome(verdict: .pass, frames: [frame])
            )
        }

        func capture(_ settings: CaptureSettings) throws(PublishError) -> any CaptureSource {
            NoFrames()
        }

        func kernelCounters() -> KernelCounters { KernelCounters() }
    }

    /// A capture in which nothing is ever seen.
    struct NoFrames: CaptureSource {
        var rings: [CaptureRing] { [] }
        var clockOffset: UInt64 { 0 }
        func start() {}
        func stop() async {}
    }
}
