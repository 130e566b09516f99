// SPDX-License-Identifier: Apache-2.0
import DataPlane
import TestSupport
import Testing
import Workers

@testable import XSKRing

/// The steering program in the kernel and its pure mirror give one answer for every frame.
///
/// The program runs by BPF_PROG_TEST_RUN, on the first queue, which has a socket: it then says
/// that it redirects, and nothing is redirected.
@Suite struct SteeringAgreementTests {
    private static let redirect: UInt32 = 4
    private static let pass: UInt32 = 2
    /// What fits the page that a test run has for a frame, with room in front and behind.
    private static let longestFrame = 3400

    /// What a comparison found.
    private struct Tally {
        var frames = 0
        var redirected = 0
        var disagreements: [String] = []
    }

    @Test(arguments: FrameAccess.allCases)
    func `the program and its mirror agree on every frame of the vectors`(
        _ access: FrameAccess
    ) async throws {
        let vectors = try SteeringVectors.load()
        let tally = try await Self.withProgram(access) { program in
            var tally = Tally()
            for file in vectors {
                for (name, configuration) in file.configs {
                    try Self.compare(
                        file.frames(for: name), configuration.plan, &program, &tally)
                }
            }
            return tally
        }
        Self.expectAgreement(tally, frames: 7_000)
    }

    @Test(
        arguments: [
            ("without a tag", nil, true), ("in a VLAN", 100, true),
            ("that leaves echo requests to the kernel", nil, false),
        ] as [(String, UInt16?, Bool)], FrameAccess.allCases)
    func `the program and its mirror agree on every hostile frame to an interface`(
        _ interface: (name: String, vlan: UInt16?, answersEcho: Bool), _ access: FrameAccess
    ) async throws {
        let (_, vlan, answersEcho) = interface
        let tally = try await Self.withProgram(access) { program in
            let plan = SteeringPlans.plan(vlan: vlan, answersEcho: answersEcho)
            var tally = Tally()
            let whole = HostileFrames.make(240, seed: 1, vlan: vlan, isDamaged: false)
            for (index, frame) in whole.enumerated() {
                try Self.compare(HostileFrames.truncations(of: frame), plan, &program, &tally)
                guard index.isMultiple(of: 8) else { continue }
                try Self.compare(HostileFrames.flips(of: frame), plan, &program, &tally)
            }
            try Self.compare([Self.headerInHeader(vlan)], plan, &program, &tally)
            let damaged = HostileFrames.make(50_000, seed: 77, vlan: vlan)
            try Self.compare(damaged, plan, &program, &tally)
            return tally
        }
        Self.expectAgreement(tally, frames: 65_000)
    }

    /// An error that quotes an IPv4 header of no length: where its ports would be, in the header
    /// itself, is what a translated packet has there.
    private static func headerInHeader(_ vlan: UInt16?) -> [UInt8] {
        let quoted = PacketBuilder().with {
            ($0.source, $0.destination) = ("20.1.1.1", "20.1.1.10")
            $0.payload = [UInt8](repeating: 0, count: 8080 - 40)
        }
        return PacketBuilder().with {
            ($0.source, $0.destination, $0.vlan) = ("10.0.0.9", "20.1.1.1", vlan)
            $0.icmp = (3, 1, [0, 0, 0, 0])
            $0.payload = [0x40] + quoted.packet[1..<60]
        }.frame
    }

    private static func withProgram(
        _ access: FrameAccess, _ body: (inout SteeringProgram) throws -> Tally
    ) async throws -> Tally {
        try await VethPair.with { pair in
            try await pair.near.perform {
                var rig = try XSKRig(accesses: [access])
                return try body(&rig.program)
            }
        }
    }

    private static func compare(
        _ frames: some Sequence<[UInt8]>, _ plan: ForwardingPlan,
        _ program: inout SteeringProgram, _ tally: inout Tally
    ) throws {
        try program.change(to: SteeringRules(plan))
        let snapshot = ForwardingSnapshot(plan)
        for frame in frames {
            let frame = Array(frame.prefix(longestFrame))
            let mirror = unsafe frame.withUnsafeBytes {
                unsafe Steering.decide($0, with: snapshot)
            }
            // A shorter frame than an Ethernet header the kernel does not run.
            let action = frame.count < 14 ? pass : try program.testRun(frame)
            tally.frames += 1
            tally.redirected += action == redirect ? 1 : 0
            guard action != (mirror == .redirect ? redirect : pass) else { continue }
            let answer = [pass: "pass", redirect: "redirect"][action] ?? "action \(action)"
            tally.disagreements.append(
                "the program says \(answer), the mirror \(mirror): \(hexadecimal(frame))")
        }
    }

    private static func expectAgreement(
        _ tally: Tally, frames: Int, _ location: SourceLocation = #_sourceLocation
    ) {
        #expect(
            tally.disagreements.isEmpty,
            "\(tally.disagreements.count): \(tally.disagreements.prefix(5))",
            sourceLocation: location)
        // Frames of which all, or none, are ours would show nothing.
        #expect(tally.frames >= frames, sourceLocation: location)
        #expect(
            (tally.frames / 10...tally.frames * 9 / 10).contains(tally.redirected),
            "\(tally.redirected) of \(tally.frames) were ours", sourceLocation: location)
    }

    private static func hexadecimal(_ frame: [UInt8]) -> String {
        frame.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}
