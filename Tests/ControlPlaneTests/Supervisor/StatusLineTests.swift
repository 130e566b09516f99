// SPDX-License-Identifier: Apache-2.0
import DataPlane
import Foundation
import TestSupport
import Testing

@testable import ControlPlane

/// The line that `systemctl status` shows.
@Suite struct StatusLineTests {
    /// A service with two backends, of which so many are eligible.
    private static func service(eligible: Int) throws -> ServiceView {
        let text = """
            version: 1
            interfaces: [{name: lb0}]
            services: [{name: web, vips: [203.0.113.1], ports: [80/tcp], backends: [10.1.1.11, 10.1.1.12]}]
            """
        let service = try #require(ConfigurationReader.read(text).configuration).services[0]
        let maglev = MaglevTable(members: [], size: 251, key: PlanFixture.key)
        return ServiceView(
            id: 0, configuration: service, keys: service.keys,
            backends: service.backends.enumerated().map { index, backend in
                BackendView(
                    id: UInt16(index), configuration: backend, isRemoved: false,
                    isEligible: index < eligible, reason: nil, slots: 0, since: Date(),
                    changedBy: nil, nextHop: nil)
            }, maglev: maglev, fingerprint: maglev.fingerprint, rebuilds: 1, movedSlots: 0)
    }

    @Test func `it says how many services, what is wrong, and how much arrives`() throws {
        let good = try Self.service(eligible: 2)
        let degraded = try Self.service(eligible: 1)
        let down = try Self.service(eligible: 0)
        let start = ContinuousClock.now
        var line = StatusLine()
        let looks: [([ServiceView], UInt64)] = [
            ([good], 1000), ([good, degraded, good], 14_401_000), ([down, degraded], 14_401_900),
            ([], 0),
        ]
        let texts = looks.enumerated().map { index, look in
            line.text(look.0, received: look.1, at: start + .seconds(index * 3))
        }
        #expect(
            texts == [
                "1 service, 0 pps", "3 services, 1 degraded, 4.8 Mpps",
                "2 services, 1 down, 1 degraded, 300 pps", "0 services, 0 pps",
            ])
    }

    @Test(arguments: [
        (0.0, "0 pps"), (999.4, "999 pps"), (999.96, "1.0 kpps"), (4820, "4.8 kpps"),
        (999_949, "999.9 kpps"), (999_960, "1.0 Mpps"), (14_880_952, "14.9 Mpps"),
    ])
    func `rates have one decimal`(rate: Double, text: String) {
        #expect(StatusLine.packets(rate) == text)
    }
}
