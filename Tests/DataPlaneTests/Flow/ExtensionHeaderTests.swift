// SPDX-License-Identifier: Apache-2.0
import DataPlane
import TestSupport
import Testing

/// The headers between IPv6 and the transport header.
@Suite struct ExtensionHeaderTests {
    private static let base = PacketBuilder().with {
        $0.source = "2001:db8:9::9"
        $0.destination = "2001:db8:40::1"
    }
    private static let padding: [UInt8] = [0, 1, 4, 0, 0, 0, 0]

    struct Case: CustomTestStringConvertible, Sendable {
        var testDescription: String
        var extensions: [(type: UInt8, bytes: [UInt8])]
        /// `nil` when the packet is forwarded.
        var reason: DropReason?
    }

    private static let cases = [
        Case(testDescription: "hop-by-hop", extensions: [(0, padding)]),
        Case(testDescription: "destination options", extensions: [(60, padding)]),
        Case(
            testDescription: "hop-by-hop, destination, routing without segments left",
            extensions: [(0, padding), (60, padding), (43, [0, 4, 0, 0, 0, 0, 0])]),
        Case(
            testDescription: "authentication",
            extensions: [(51, [1, 0, 0] + [0, 0, 0, 0, 0, 0, 0, 0])]),
        Case(
            testDescription: "an atomic fragment", extensions: [(44, [0, 0, 0, 0, 0, 0, 1])]),
        Case(
            testDescription: "twelve destination headers",
            extensions: Array(repeating: (60, padding), count: 12)),
        Case(
            testDescription: "seventeen destination headers",
            extensions: Array(repeating: (60, padding), count: 17), reason: .options),
        Case(
            testDescription: "hop-by-hop that is not first",
            extensions: [(60, padding), (0, padding)], reason: .options),
        Case(
            testDescription: "routing with a segment left",
            extensions: [(43, [0, 4, 1, 0, 0, 0, 0])], reason: .options),
        Case(
            testDescription: "routing type 0 with a segment left",
            extensions: [(43, [2, 0, 1, 0, 0, 0, 0] + [UInt8](repeating: 1, count: 16))],
            reason: .options),
        Case(
            testDescription: "a length that leaves the packet",
            extensions: [(60, [200, 1, 4, 0, 0, 0, 0])],
            reason: .malformed),
        Case(
            testDescription: "the jumbo option", extensions: [(0, [0, 0xc2, 4, 0, 1, 0, 0])],
            reason: .malformed),
        Case(
            testDescription: "an option over the end of its header",
            extensions: [(0, [0, 1, 9, 0, 0, 0, 0])], reason: .options),
    ]

    @Test(arguments: cases)
    func `headers are walked to the ports, or the packet is dropped`(_ item: Case) {
        let harness = PipelineHarness(PlanFixture.mixedPlan(dsrBackends: [1]))
        let packet = Self.base.with { $0.extensions = item.extensions }
        let outcome = harness.send(packet.frame)
        if let reason = item.reason {
            #expect(outcome.verdict == .drop(reason))
        } else {
            #expect(outcome.verdict == .transmit)
            #expect(Array(outcome.frame[54...]) == packet.packet)
        }
    }

    @Test func `a good packet cut at any length is dropped`() {
        let harness = PipelineHarness(PlanFixture.mixedPlan())
        let packet = Self.base.with { $0.extensions = [(0, Self.padding), (60, Self.padding)] }
        for length in 0..<packet.frame.count {
            guard case .drop = harness.send(Array(packet.frame[..<length])).verdict else {
                Issue.record("\(length) bytes")
                continue
            }
        }
    }

    @Test(
        arguments: ["::", "::1", "ff02::1", "::ffff:10.0.0.9", "2001:db8:40::1"])
    func `sources that cannot be clients are dropped`(_ source: String) {
        let harness = PipelineHarness(PlanFixture.mixedPlan())
        var frame = Self.base.frame
        let bytes = IPv6Address(source).map { IPAddress($0).mappedBytes } ?? []
        frame.replaceSubrange(22..<38, with: bytes)
        #expect(harness.send(frame).verdict == .drop(.badSource))
    }
}
