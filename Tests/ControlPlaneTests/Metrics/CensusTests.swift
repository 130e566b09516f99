// SPDX-License-Identifier: Apache-2.0
import DataPlane
import Foundation
import TestSupport
import Testing

@testable import ControlPlane

/// Pools of SNAT ports, and times by their bounds.
@Suite struct CensusTests {
    private static func view(
        pool: String?, addresses: [(UInt16, String)], mode: ForwardingMode = .snat
    ) throws -> ControlView {
        let reference = pool == nil ? "" : ", snat_pool: p1"
        let text = """
            version: 1
            interfaces: [{name: lb0}]
            snat_pools: [\(pool ?? "")]
            services:
              - {name: web, vips: [203.0.113.1], ports: [80/tcp], mode: \(mode)\(reference),
                 backends: [10.1.1.11]}
            """
        let configuration = try #require(ConfigurationReader.read(text).configuration)
        let maglev = MaglevTable(members: [], size: 251, key: PlanFixture.key)
        let service = ServiceView(
            id: 0, configuration: configuration.services[0], keys: [], backends: [],
            maglev: maglev, fingerprint: "", rebuilds: 1, movedSlots: 0)
        return ControlView(
            configuration: configuration, generation: 1, appliedAt: Date(), startedAt: Date(),
            differsFromFile: nil, lastReload: ReloadState(), services: [service], nextHops: [],
            snatAddresses: addresses.map {
                .init(id: $0.0, address: PlanFixture.address($0.1), ports: [1024...2023])
            }, problems: [])
    }

    @Test func `a pool's addresses of each family are a group, used or not`() throws {
        let pool =
            "{name: p1, addresses: [198.51.100.1-198.51.100.4, \"2001:db8::1\"], ports: 2000-2999}"
        let view = try Self.view(pool: pool, addresses: [(0, "198.51.100.2"), (1, "2001:db8::1")])
        #expect(
            SNATGroup.all(in: view) == [
                SNATGroup(pool: "p1", size: 4000, addresses: [0]),
                SNATGroup(pool: "p1", size: 1000, addresses: [1]),
            ])
    }

    @Test func `without a pool it is the interface's own address, if anyone uses it`() throws {
        let own = SNATGroup(pool: "interface", size: 1000, addresses: [3])
        let addresses: [(UInt16, String)] = [(3, "192.0.2.5")]
        #expect(SNATGroup.all(in: try Self.view(pool: nil, addresses: addresses)) == [own])
        let tunnelling = try Self.view(pool: nil, addresses: addresses, mode: .dsr)
        #expect(SNATGroup.all(in: tunnelling).isEmpty)
    }

    @Test func `a duration counts below the first bound that it is not over`() {
        var histogram = DurationHistogram([0.001, 0.01])
        for duration in [Duration.zero, .milliseconds(1), .milliseconds(2), .seconds(1)] {
            histogram.add(duration)
        }
        #expect(histogram.cumulativeCounts == [2, 3])
        #expect(histogram.count == 4)
        #expect(abs(histogram.sum - 1.003) < 1e-9)
    }

    @Test func `a histogram is written with rising counts and its sum`() {
        var histogram = DurationHistogram([0.001, 0.01])
        histogram.add(.milliseconds(5))
        var out = PrometheusText()
        out.histogram("x_seconds", [("service", "web")], histogram)
        #expect(
            out.text == """
                x_seconds_bucket{service="web",le="0.001"} 0
                x_seconds_bucket{service="web",le="0.01"} 1
                x_seconds_bucket{service="web",le="+Inf"} 1
                x_seconds_sum{service="web"} 0.005
                x_seconds_count{service="web"} 1

                """)
    }
}
