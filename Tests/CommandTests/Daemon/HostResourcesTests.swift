// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import xdplb

/// Which CPUs and ports the daemon takes.
@Suite struct HostResourcesTests {
    struct Placement: CustomTestStringConvertible, Sendable {
        var testDescription: String
        var configured: [Int]?
        var workers: Int
        var allowed: [Int]
        var near: [Int]
        var cpus: [Int?]
    }

    private static let placements = [
        Placement(
            testDescription: "without a node the highest come first", configured: nil, workers: 2,
            allowed: [0, 1, 2, 3], near: [], cpus: [3, 2]),
        Placement(
            testDescription: "those of the NIC's node come before others", configured: nil,
            workers: 3, allowed: [0, 1, 2, 3], near: [0, 1], cpus: [1, 0, 3]),
        Placement(
            testDescription: "a CPU of the node that is not allowed is not taken", configured: nil,
            workers: 2, allowed: [1, 2, 3], near: [0, 1], cpus: [1, 3]),
        Placement(
            testDescription: "a worker beyond the CPUs is not pinned", configured: nil, workers: 3,
            allowed: [0, 1], near: [0], cpus: [0, 1, nil]),
        Placement(
            testDescription: "what is configured counts, whatever the node", configured: [5, 4],
            workers: 3, allowed: [0, 1], near: [0], cpus: [5, 4, nil]),
    ]

    @Test(arguments: placements)
    func `workers are placed`(_ placement: Placement) {
        let cpus = HostResources.cpus(
            configured: placement.configured, workers: placement.workers,
            allowed: placement.allowed, near: placement.near)
        #expect(cpus == placement.cpus)
    }

    @Test(
        arguments: [
            (32768...60999, [1024...32767, 61000...65535]), (1024...65535, []),
            (0...1023, [1024...65535]), (500...2000, [2001...65535]),
        ] as [(ClosedRange<UInt16>, [ClosedRange<UInt16>])])
    func `snat has the ports that the kernel does not hand out`(
        local: ClosedRange<UInt16>, ports: [ClosedRange<UInt16>]
    ) {
        #expect(HostResources.interfacePorts(beside: local) == ports)
    }
}
