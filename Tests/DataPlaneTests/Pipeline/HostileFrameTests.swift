// SPDX-License-Identifier: Apache-2.0
import DataPlane
import TestSupport
import Testing

/// What no frame may do, whatever its bytes.
@Suite struct HostileFrameTests {
    private static let good = PacketBuilder()

    @Test(arguments: [ForwardingMode.dsr, .snat])
    func `a good frame cut at any length is dropped`(_ mode: ForwardingMode) {
        let harness = PipelineHarness(PlanFixture.plan(mode))
        for packet in [
            Self.good,
            Self.good.with {
                $0.tcpFlags = nil; $0.destinationPort = 53
            },
        ] {
            let frame = packet.frame
            for length in 0..<frame.count {
                let outcome = harness.send(Array(frame[..<length]))
                guard case .drop = outcome.verdict else {
                    Issue.record("\(length) bytes: \(outcome.verdict)")
                    continue
                }
            }
        }
        #expect(harness.connectionCount == 0 && harness.chunksHeld == 0)
    }

    struct Case: CustomTestStringConvertible, Sendable {
        let testDescription: String
        let reason: DropReason
        let change: @Sendable (inout [UInt8]) -> Void
        var fixesChecksum = true
    }

    private static let cases: [Case] = [
        .init(testDescription: "version 6", reason: .malformed) { $0[14] = 0x65 },
        .init(testDescription: "a header of 16 bytes", reason: .malformed) { $0[14] = 0x44 },
        .init(testDescription: "a header longer than the packet", reason: .malformed) {
            $0[14] = 0x4f
        },
        .init(testDescription: "total length 0", reason: .malformed) { $0[17] = 0 },
        .init(testDescription: "total length 19", reason: .malformed) { $0[17] = 19 },
        .init(testDescription: "total length over the frame", reason: .malformed) { $0[16] = 0xff },
        .init(testDescription: "a fragment with more to come", reason: .fragment) { $0[20] = 0x20 },
        .init(testDescription: "a fragment at an offset", reason: .fragment) { $0[21] = 8 },
        .init(testDescription: "source 127.0.0.1", reason: .badSource) {
            $0.replaceSubrange(26..<30, with: [127, 0, 0, 1])
        },
        .init(testDescription: "source 0.0.0.0", reason: .badSource) {
            $0.replaceSubrange(26..<30, with: [0, 0, 0, 0])
        },
        .init(testDescription: "source 224.0.0.1", reason: .badSource) {
            $0.replaceSubrange(26..<30, with: [224, 0, 0, 1])
        },
        .init(testDescription: "source 255.255.255.255", reason: .badSource) {
            $0.replaceSubrange(26..<30, with: [255, 255, 255, 255])
        },
        .init(testDescription: "source = destination (LAND)", reason: .badSource) {
            $0.replaceSubrange(26..<30, with: [40, 1, 1, 1])
        },
        .init(testDescription: "a TCP header of 16 bytes", reason: .malformed) { $0[46] = 0x40 },
        .init(testDescription: "a TCP header over the packet", reason: .malformed) {
            $0[46] = 0xf0
        },
        .init(testDescription: "protocol 132", reason: .notIP) { $0[23] = 132 },
        .init(testDescription: "another port", reason: .noService) { $0[37] = 81 },
        .init(
            testDescription: "a wrong header checksum", reason: .badChecksum,
            change: { $0[24] ^= 1 }, fixesChecksum: false),
        .init(testDescription: "ARP", reason: .notIP) { $0[13] = 6 },
    ]

    @Test(arguments: cases)
    func `a frame with a wrong field is dropped for its reason`(_ item: Case) {
        for mode in ForwardingMode.allCases {
            let harness = PipelineHarness(PlanFixture.plan(mode))
            var frame = Self.good.frame
            item.change(&frame)
            if item.fixesChecksum {
                frame[24] = 0
                frame[25] = 0
                let end = min(14 + max(20, Int(frame[14] & 15) * 4), frame.count)
                let sum = SlowChecksum.of(Array(frame[14..<end]))
                frame[24] = UInt8(sum >> 8)
                frame[25] = UInt8(sum & 255)
            }
            #expect(harness.send(frame).verdict == .drop(item.reason))
            #expect(harness.counters[item.reason] == 1)
        }
    }

    @Test(
        arguments: [
            [131, 3, 4, 0], [137, 3, 4, 0], [7, 0, 0, 0], [7, 1, 0, 0], [7, 9, 0, 0], [1, 1, 1, 7],
        ] as [[UInt8]])
    func `source routes and malformed options are dropped`(_ options: [UInt8]) {
        let harness = PipelineHarness(PlanFixture.plan(.dsr))
        let packet = Self.good.with { $0.options = options }
        #expect(harness.send(packet.frame).verdict == .drop(.options))
    }

    @Test func `ports are read behind the options, not at a fixed offset`() {
        let harness = PipelineHarness(PlanFixture.plan(.dsr))
        // The option's bytes spell port 80 where a header without options has its ports.
        let decoy = Self.good.with {
            $0.options = [7, 8, 0, 80, 0, 80, 0, 80]
            $0.destinationPort = 81
        }
        #expect(harness.send(decoy.frame).verdict == .drop(.noService))
    }

    @Test(arguments: [ForwardingMode.dsr, .snat])
    func `mutated frames never trap, are all accounted for, and what leaves is right`(
        _ mode: ForwardingMode
    ) {
        var generator = SeededGenerator(state: mode == .dsr ? 11 : 12)
        let harness = PipelineHarness(PlanFixture.plan(mode))
        var transmitted = 0
        for _ in 0..<1600 {
            let frames = (0..<64).map { _ in Self.mutated(&generator) }
            let before = harness.countedOutcomes
            let outcomes = harness.send(frames)
            var sent: UInt64 = 0
            for (input, outcome) in zip(frames, outcomes) {
                switch outcome.verdict {
                case .transmit:
                    sent += 1
                    Self.checkLeaving(outcome.frame, input, mode)
                case .drop, .wait: break
                case .undecided, .handOff: Issue.record("\(outcome.verdict)")
                }
            }
            transmitted += Int(sent)
            #expect(harness.countedOutcomes &- before &+ sent == 64)
        }
        #expect(harness.chunksHeld == 0)
        #expect(transmitted > 10_000)
        #expect(harness.counters[service: 0, .connections] == UInt64(harness.connectionCount))
    }

    private static func mutated(_ generator: inout SeededGenerator) -> [UInt8] {
        let packet = good.with {
            $0.sourcePort = UInt16.random(in: 0...63, using: &generator)
            $0.tcpFlags =
                Bool.random(using: &generator) ? UInt8.random(in: 0...63, using: &generator) : nil
            $0.destinationPort = $0.tcpFlags == nil ? 53 : 80
            $0.payload = [UInt8](repeating: 0xa5, count: Int.random(in: 0...40, using: &generator))
        }
        var frame = packet.frame
        for _ in 0..<Int.random(in: 0...2, using: &generator) {
            let index = Int.random(in: 12..<frame.count, using: &generator)
            frame[index] = UInt8.random(in: 0...255, using: &generator)
        }
        if Int.random(in: 0..<8, using: &generator) == 0 {
            frame.removeLast(Int.random(in: 0...frame.count, using: &generator))
        }
        return frame
    }

    private static func checkLeaving(_ frame: [UInt8], _ input: [UInt8], _ mode: ForwardingMode) {
        let packet = Array(frame[14...])
        #expect(Int(packet[2]) * 256 + Int(packet[3]) == packet.count)
        #expect(SlowChecksum.of(Array(packet[..<(Int(packet[0] & 15) * 4)])) == 0)
        guard mode == .snat else {
            let length = Int(input[16]) * 256 + Int(input[17])
            #expect(Array(packet[20...]) == Array(input[14..<14 + length]))
            return
        }
        let isOmitted =
            packet[9] == 17 && Array(packet[(Int(packet[0] & 15) * 4 + 6)...].prefix(2)) == [0, 0]
        let before = SlowChecksum.ofTransport(Array(input[14...]))
        if !isOmitted { #expect((SlowChecksum.ofTransport(packet) == 0) == (before == 0)) }
    }
}
