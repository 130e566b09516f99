// SPDX-License-Identifier: Apache-2.0
import DataPlane
import TestSupport
import Testing
import Workers

@testable import XSKRing

/// The steering program in the kernel and its pure mirror give one answer for every frame.
@Suite struct SteeringMirrorTests {
    /// Without sockets the program passes everything, and counts what it would have redirected.
    @Test func `the program and its mirror agree on 50 000 mutated frames`() async throws {
        let plan = PlanFixture.plan(.snat, port: 8080, ports: [1024...32767, 61000...65535])
        let harness = PipelineHarness(plan)
        let interface = try Namespace("mirror")
        defer { interface.close() }
        let rules = SteeringRules(plan)
        let disagreements = try await interface.perform { () throws -> [String] in
            var program = try SteeringProgram(interface: "lo", index: 1, modes: [.generic])
            try program.change(to: rules)
            var found: [String] = []
            var generator = SeededGenerator(state: 77)
            var redirected: UInt64 = 0
            for _ in 0..<50_000 {
                let frame = Self.frame(&generator)
                let before = program.verdictCounters().withoutSocket
                _ = try program.testRun(frame)
                let isOurs = program.verdictCounters().withoutSocket > before
                let expected = harness.steer(frame)
                redirected += isOurs ? 1 : 0
                if isOurs != (expected == .redirect) { found.append("\(expected): \(frame)") }
            }
            if redirected < 5_000 { found.append("only \(redirected) frames were ours") }
            return found
        }
        #expect(disagreements.isEmpty, "\(disagreements.prefix(3))")
    }

    private static func frame(_ generator: inout SeededGenerator) -> [UInt8] {
        let isReply = Bool.random(using: &generator)
        let isUDP = Bool.random(using: &generator)
        let packet = PacketBuilder().with {
            $0.tcpFlags = isUDP ? nil : 0x10
            if isReply {
                $0.source =
                    ["20.1.1.10", "20.1.1.20", "20.1.1.30"].randomElement(using: &generator) ?? ""
                $0.destination = "20.1.1.1"
                $0.sourcePort = [8080, 80].randomElement(using: &generator) ?? 0
                $0.destinationPort =
                    [1023, 1024, 32767, 32768, 60999, 61000, 65535]
                    .randomElement(using: &generator) ?? 0
            } else {
                $0.destination = ["40.1.1.1", "40.1.1.2"].randomElement(using: &generator) ?? ""
                $0.destinationPort = [80, 53, 81].randomElement(using: &generator) ?? 0
            }
            if Int.random(in: 0..<4, using: &generator) == 0 {
                $0.options = [1, 1, 1, 0, 1, 1, 1, 0]
            }
        }
        var frame = packet.frame
        if Int.random(in: 0..<3, using: &generator) == 0 {
            let index = Int.random(in: 0..<frame.count, using: &generator)
            frame[index] = UInt8.random(in: 0...255, using: &generator)
        }
        if Int.random(in: 0..<10, using: &generator) == 0 {
            frame = Array(frame.prefix(Int.random(in: 14...frame.count, using: &generator)))
        }
        return frame
    }
}
