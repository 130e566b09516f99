// SPDX-License-Identifier: Apache-2.0
import DataPlane
import Foundation
import TestSupport
import Testing

@testable import ControlPlane

/// What of a service the API shows.
@Suite struct AdminDocumentTests {
    /// `web`, which needs two of its backends and has those that `eligible` says.
    private static func documents(eligible: Int) throws -> AdminDocuments {
        let text = """
            version: 1
            interfaces: [{name: lb0}]
            services:
              - {name: web, vips: [203.0.113.0/24, "2001:db8::1"], ports: [8000-8099/tcp, any/udp],
                 affinity: quic_cid, on_no_backend: reject, minimum_backends: 2,
                 source_ranges: [10.0.0.0/8, "2001:db8:9::9"], backends: [10.1.1.11, "2001:db8:1::12"]}
            """
        let configuration = try #require(ConfigurationReader.read(text).configuration)
        let service = configuration.services[0]
        let maglev = MaglevTable(members: [], size: 251, key: PlanFixture.key)
        let view = ServiceView(
            id: 0, configuration: service, keys: service.keys,
            backends: service.backends.enumerated().map { index, backend in
                BackendView(
                    id: UInt16(index), configuration: backend, isRemoved: false,
                    isEligible: index < eligible, reason: nil, slots: 0, since: Date(),
                    changedBy: nil, nextHop: nil)
            }, maglev: maglev, fingerprint: maglev.fingerprint, rebuilds: 1, movedSlots: 0)
        let facts = DataPlaneFacts(
            interface: "lb0", interfaceIndex: 2, driver: "veth", attachMode: "native",
            bindMode: "copy", numaNode: nil, workers: [], umemBytes: 0, tableBytes: 0,
            connectionsPerWorker: 1024, usesHugePages: false)
        return AdminDocuments(
            view: ControlView(
                configuration: configuration, generation: 1, appliedAt: Date(), startedAt: Date(),
                differsFromFile: nil, lastReload: ReloadState(), services: [view], nextHops: [],
                snatAddresses: [],
                problems: []), sums: CounterSums([]), pages: [], kernel: KernelCounters(),
            facts: facts, rates: RateSampler(),
            build: BuildFacts(version: "test", commit: "unknown"),
            isStopping: false)
    }

    @Test func `a service shows its keys and its policy`() throws {
        let documents = try Self.documents(eligible: 2)
        let service = try #require(documents.services().services.first)
        #expect(
            service.keys == [
                "203.0.113.0/24:8000-8099/tcp", "203.0.113.0/24:any/udp",
                "[2001:db8::1]:8000-8099/tcp", "[2001:db8::1]:any/udp",
            ])
        #expect(service.affinity == "quic_cid" && service.onNoBackend == "reject")
        #expect(service.sourceRanges == ["10.0.0.0/8", "2001:db8:9::9"])
        #expect(service.minimumBackends == 2 && service.up)
        let text = String(decoding: try AdminJSON.encode(service), as: UTF8.self)
        for member in ["on_no_backend", "source_ranges", "minimum_backends", "affinity", "up"] {
            #expect(text.contains("\"\(member)\""))
        }
    }

    @Test func `with fewer backends than it needs a service is down, and not ready`() throws {
        for (eligible, isUp) in [(2, true), (1, false), (0, false)] {
            let documents = try Self.documents(eligible: eligible)
            #expect(documents.isReady == isUp)
            #expect(documents.services().services.map(\.up) == [isUp])
            #expect(documents.status().services.map(\.up) == [isUp])
            #expect(documents.status().ready == isUp)
        }
    }

    @Test func `metrics name prefixes and ranges as they are written`() throws {
        let text = MetricsCollector(try Self.documents(eligible: 1), Census()).text()
        #expect(text.contains("vip=\"203.0.113.0/24\",port=\"8000-8099\",protocol=\"tcp\""))
        #expect(text.contains("vip=\"2001:db8::1\",port=\"any\",protocol=\"udp\""))
    }
}
