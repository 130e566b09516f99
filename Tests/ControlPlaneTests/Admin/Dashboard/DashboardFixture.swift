// SPDX-License-Identifier: Apache-2.0
@testable import ControlPlane

/// Documents of a load balancer that is well, to be made ill by tests.
struct DashboardFixture {
    var status = StatusDocument(
        generation: 7, time: "2026-11-23T06:50:10Z", state: "serving", ready: true,
        version: "1.0.0", node: "lb1", uptimeSeconds: 273_600, appliedAt: "2026-11-23T06:41:10Z",
        interface: InterfaceDocument(
            name: "ens1f0", driver: "ice", attachMode: "native", bindMode: "zerocopy",
            queues: [0, 1], rxPackets: 5_312_221, txPackets: 5_312_100,
            rxPacketsPerSecond: 4_820_000, txPacketsPerSecond: 4_819_000,
            xdp: SteeringDocument(redirect: 0, pass: 0, noSocket: 0), ringLosses: 0,
            ringLossesPerSecond: 0),
        workers: [Self.worker(0, busy: 0.66), Self.worker(1, busy: 0.71)], services: [],
        problems: [], drops: [:], dropsPerSecond: [:],
        connections: TableDocument(used: 1_239_411, capacity: 4_194_304),
        memory: MemoryDocument(
            umemBytes: 256 << 20, tableBytes: 256 << 20, hugePages: true, numaNode: nil),
        file: "same")
    var services: [ServiceDocument] = []
    var backends: [BackendDocument] = []
    var drops: [DropsDocument.Reason] = []
    var events: [EventDocument] = []

    /// `web`, with two eligible backends.
    init() { addService("web", backends: 2) }

    static func worker(_ number: Int, busy: Double) -> WorkerDocument {
        WorkerDocument(
            worker: number, queue: number, cpu: number + 4, generation: 7, rxPackets: 0,
            txPackets: 0, rxPacketsPerSecond: 1_200_000, txPacketsPerSecond: 1_200_000,
            handedOff: 0, busyShare: busy, packetsPerBatch: 38.214, packetsPerWakeup: 4,
            chunks: ["free": 8192])
    }

    mutating func addService(_ name: String, backends count: Int, eligible: Int? = nil) {
        let eligible = eligible ?? count
        status.services.append(
            ServiceStateDocument(name: name, up: eligible > 0, eligible: eligible, backends: count))
        services.append(
            ServiceDocument(
                name: name, keys: ["203.0.113.10:80/tcp", "203.0.113.10:443/tcp"], mode: "snat",
                snatPool: "p1", affinity: "five_tuple", onNoBackend: "drop", sourceRanges: [],
                minimumBackends: 1, up: eligible > 0, eligible: eligible, backends: count,
                packetsPerSecond: 3_910_000, bitsPerSecond: 14_800_000_000, newPerSecond: 52_000,
                connections: 1_100_000, packetsIn: 0, packetsOut: 0, newConnections: 0))
        for index in 0..<count {
            addBackend(name, "\(name)-\(index + 1)", reason: index < eligible ? nil : "no route")
        }
    }

    mutating func addBackend(_ service: String, _ name: String, reason: String?) {
        backends.append(
            BackendDocument(
                service: service, name: name, address: "10.1.1.11", adminState: "active",
                eligible: reason == nil, reason: reason, health: "unknown", removed: false,
                weight: 100, slots: 0,
                share: reason == nil ? 0.4 : 0, packets: 0, bytes: 0, packetsPerSecond: 255_000,
                connections: 20_400, newConnections: 0, nextHop: nil, changedBy: nil,
                since: "2026-11-23T06:48:00Z"))
    }

    /// What is made of them.
    var document: DashboardDocument {
        DashboardWriter(
            status: status,
            services: ServiceListDocument(
                generation: 7, time: status.time, services: services),
            backends: BackendListDocument(
                generation: 7, time: status.time, backends: backends),
            drops: DropsDocument(generation: 7, time: status.time, drops: drops, kernel: []),
            events: events
        ).document()
    }

    var page: DashboardView { document.page }
    var html: String { DashboardPage(view: page).html.markup }
}
