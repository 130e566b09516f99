// SPDX-License-Identifier: Apache-2.0
import DataPlane
import Foundation
import Synchronization
import TestSupport
import Testing
import Workers

@testable import XSKRing

/// Changes of the steering program's maps while it runs.
@Suite struct SteeringChangeTests {
    /// Two plans that have little in common: ``common`` says what.
    private static let plans: [ForwardingPlan] = [
        plan(
            [
                "40.1.1.1:79-80/tcp", "40.2.0.0/16:22-23/tcp", "40.2.3.4:1000-9999/udp",
                "40.4.0.0/16:any/udp",
            ] + (0..<40).map { "40.9.0.\($0):22/tcp" }, [1024...2000, 3000...4000],
            to: ["20.1.1.10", "20.1.1.20"]),
        plan(
            [
                "40.1.1.1:80-81/tcp", "40.2.0.0/16:23/tcp", "40.2.3.5:22/tcp",
                "40.4.4.4:50-70/udp", "40.4.4.0/24:1-63/udp",
            ] + (20..<60).map { "40.9.0.\($0):443/tcp" }, [1500...1600, 60000...65535],
            to: ["20.1.1.10", "20.1.1.30"]),
    ]

    /// Frames that both plans redirect.
    private static let common: [(String, PacketBuilder)] = [
        ("a port whose neighbours change", PacketBuilder()),
        (
            "a port that goes over from a prefix to a VIP in it",
            PacketBuilder().with { ($0.destination, $0.destinationPort) = ("40.2.3.5", 22) }
        ),
        (
            "any port that becomes a range, in prefixes that appear",
            PacketBuilder().with {
                ($0.destination, $0.destinationPort, $0.tcpFlags) = ("40.4.4.4", 63, nil)
            }
        ),
        (
            "a port of the pool whose ranges change",
            PacketBuilder().with {
                ($0.source, $0.sourcePort) = ("20.1.1.10", 80)
                ($0.destination, $0.destinationPort) = ("20.1.1.1", 1550)
            }
        ),
    ]

    private static func plan(
        _ keys: [String], _ ports: [ClosedRange<UInt16>], to backends: [String]
    ) -> ForwardingPlan {
        var plan = PlanFixture.plan(.snat, ports: ports)
        plan.services[0].keys = keys.compactMap(ServiceKey.init)
        plan.snatSources = Set(
            backends.map { .init(address: PlanFixture.address($0), port: 80, transport: .tcp) })
        return plan
    }

    @Test func `what two plans have in common is redirected at every moment of a change`()
        async throws
    {
        try await VethPair.with { pair in
            try await pair.near.perform {
                let rules = Self.plans.map { SteeringRules($0) }
                var rig = try XSKRig(rules: rules[0])
                let observer = Observer(
                    program: rig.program.descriptor ?? -1,
                    frames: Self.common.map { ($0.0, $0.1.frame) })
                for index in 1...300 { try rig.program.change(to: rules[index % 2]) }
                let (runs, misses) = observer.finish()
                #expect(misses.isEmpty, "\(misses)")
                #expect(runs > 1000)
            }
        }
    }

    @Test func `a change that fails leaves what was there, to the last port`() async throws {
        try await VethPair.with { pair in
            try await pair.near.perform {
                let facts = try InterfaceFacts(name: VethPair.nearName)
                let rules = Self.plans.map { SteeringRules($0) }
                let snapshot = ForwardingSnapshot(Self.plans[0])
                for (map, size) in [("vips", 50), ("ports", 200), ("pool", 1), ("backends", 4)] {
                    var program = try SteeringProgram(
                        interface: facts.name, index: facts.index, modes: [.native],
                        mapSizes: [map: size])
                    try program.change(to: rules[0])
                    var next = rules[1]
                    next.pool[XSKFrame.mapped([20, 1, 1, 2])] = [1...2]
                    let error = #expect(throws: XSKError.self) { try program.change(to: next) }
                    #expect(error?.description.contains("its map is full") == true, "\(map)")
                    #expect(program.rules == rules[0])
                    for example in Self.probes {
                        let before = program.verdictCounters().withoutSocket
                        _ = try program.testRun(example.frame)
                        let isOurs = program.verdictCounters().withoutSocket > before
                        let mirror = unsafe example.frame.withUnsafeBytes {
                            unsafe Steering.decide($0, with: snapshot)
                        }
                        #expect(isOurs == (mirror == .redirect), "\(map): \(example)")
                    }
                }
            }
        }
    }

    /// Packets that tell the plans apart.
    private static let probes: [PacketBuilder] =
        (0..<60).flatMap { host in
            [22, 443].map { port in
                PacketBuilder().with {
                    ($0.destination, $0.destinationPort) = ("40.9.0.\(host)", port)
                }
            }
        }
        + [79, 80, 81].map { port in PacketBuilder().with { $0.destinationPort = port } }
        + common.map(\.1)

    @Test func `a new hardware address is the one that counts`() async throws {
        try await VethPair.with { pair in
            try await pair.near.perform {
                var plan = Self.plans[0]
                var rig = try XSKRig(rules: SteeringRules(plan))
                let frame = PacketBuilder().frame
                #expect(try rig.program.testRun(frame) == 4)
                plan.link.mac = try #require(MACAddress("02:00:00:00:00:77"))
                try rig.program.change(to: SteeringRules(plan))
                #expect(try rig.program.testRun(frame) == 2)
                let renamed = PacketBuilder().with { $0.destinationMAC[5] = 0x77 }
                #expect(try rig.program.testRun(renamed.frame) == 4)
            }
        }
    }
}

/// Runs a program over frames that it is to redirect, on a thread of its own.
private final class Observer: Sendable {
    private struct Findings {
        var runs = 0
        var misses: [String: Int] = [:]
        var isFinished = false
    }

    private let isStopped = Atomic(false)
    private let findings = Mutex(Findings())

    init(program: Int32, frames: [(String, [UInt8])]) {
        Thread { [self] in
            var found = Findings()
            while !isStopped.load(ordering: .relaxed) {
                for (name, frame) in frames {
                    let action = try? SteeringProgram.testRun(program, frame)
                    found.runs += 1
                    if action != 4 { found.misses[name, default: 0] += 1 }
                }
            }
            found.isFinished = true
            findings.withLock { [found] in $0 = found }
        }.start()
    }

    /// Stops, and says how often a frame was not redirected.
    func finish() -> (runs: Int, misses: [String: Int]) {
        isStopped.store(true, ordering: .relaxed)
        while true {
            let found = findings.withLock { $0 }
            if found.isFinished { return (found.runs, found.misses) }
            sched_yield()
        }
    }
}
