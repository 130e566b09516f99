// SPDX-License-Identifier: Apache-2.0
import TestSupport
import Testing

@testable import XSKRing

/// What the steering program decides, over frames that never leave BPF_PROG_TEST_RUN.
///
/// No queue has a socket here, so every frame is passed; the counters tell which were ours.
@Suite struct XSKSteeringTests {
    static let vip: [UInt8] = [40, 1, 1, 1]
    static let anyPortVIP: [UInt8] = [40, 1, 1, 2]
    static let snatAddress: [UInt8] = [20, 1, 1, 1]
    static let backend: [UInt8] = [20, 1, 1, 10]

    static var rules: SteeringRules {
        var rules = SteeringRules()
        rules.mac = VethPair.nearMAC
        rules.vips = [
            prefix(vip): [.init(80...80, transport: 6), .init(80...80, transport: 17)],
            prefix(anyPortVIP): [.init(SteeringRules.Ports.any, transport: 17)],
        ]
        rules.pool = [XSKFrame.mapped(snatAddress): [1024...32767, 61000...65535]]
        rules.backends = [.init(address: XSKFrame.mapped(backend), port: 8080, transport: 6)]
        return rules
    }

    /// The prefix of `length` IPv4 bits around an address.
    static func prefix(_ address: [UInt8], _ length: Int = 32) -> SteeringRules.Prefix {
        .init(address: XSKFrame.mapped(address), length: 96 + length)
    }

    struct Case: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let isOurs: Bool
        let frame: XSKFrame

        init(_ sentence: String, ours: Bool, _ change: (inout XSKFrame) -> Void) {
            testDescription = sentence
            isOurs = ours
            var frame = XSKFrame()
            change(&frame)
            self.frame = frame
        }

        static func reply(
            _ sentence: String, ours: Bool, _ change: (inout XSKFrame) -> Void = { _ in }
        ) -> Case {
            Case(sentence, ours: ours) { frame in
                frame.source = backend
                frame.sourcePort = 8080
                frame.destination = snatAddress
                frame.destinationPort = 2044
                frame.transport = 6
                change(&frame)
            }
        }
    }

    static let services = [
        Case("UDP to a service", ours: true) { _ in },
        Case("TCP to a service", ours: true) { $0.transport = 6 },
        Case("TCP to another port of the VIP", ours: false) {
            ($0.transport, $0.destinationPort) = (6, 22)
        },
        Case("UDP to another address", ours: false) { $0.destination = [40, 1, 1, 9] },
        Case("SCTP to a service's port", ours: false) { $0.transport = 132 },
        Case("ICMP to the VIP", ours: true) { $0.transport = 1 },
        Case("UDP to a VIP that has any port", ours: true) {
            ($0.destination, $0.destinationPort) = (anyPortVIP, 4711)
        },
        Case("TCP to a VIP that has any UDP port", ours: false) {
            ($0.destination, $0.transport) = (anyPortVIP, 6)
        },
        Case("a header with ten words of options", ours: true) { $0.optionWords = 10 },
        Case("options over the port that a fixed offset would read", ours: false) {
            ($0.optionWords, $0.destinationPort) = (1, 81)
        },
        Case("a first fragment", ours: true) { $0.fragment = 0x2000 },
        Case("a later fragment", ours: true) { $0.fragment = 0x00b9 },
        Case("neither flag", ours: true) { $0.fragment = 0 },
        Case("an ARP frame", ours: false) { $0.etherType = 0x0806 },
        Case("an IPv6 EtherType", ours: false) { $0.etherType = 0x86dd },
        Case("a VLAN tag", ours: false) { $0.etherType = 0x8100 },
        Case("version 6 behind the EtherType of 4", ours: false) { $0.version = 6 },
        Case("a header length under five words", ours: true) { $0.headerWords = 4 },
        Case("a header longer than the frame", ours: true) {
            ($0.headerWords, $0.payload) = (15, [])
        },
    ]

    static let replies = [
        Case.reply("a backend's answer to the first range", ours: true),
        Case.reply("to the last port of the first range", ours: true) {
            $0.destinationPort = 32767
        },
        Case.reply("to the first port of the second range", ours: true) {
            $0.destinationPort = 61000
        },
        Case.reply("to the very last port", ours: true) { $0.destinationPort = 65535 },
        Case.reply("to a port between the ranges", ours: false) { $0.destinationPort = 32768 },
        Case.reply("to a port under the ranges", ours: false) { $0.destinationPort = 1023 },
        Case.reply("from another port of the backend", ours: false) { $0.sourcePort = 22 },
        Case.reply("from somebody else", ours: false) { $0.source = [20, 1, 1, 11] },
        Case.reply("over another protocol", ours: false) { $0.transport = 17 },
        Case.reply("to another address of the host", ours: false) {
            $0.destination = [20, 1, 1, 2]
        },
    ]

    /// A frame that ends before its eighth byte behind the IP header is the pipeline's to judge,
    /// and one that ends in the IP header is the kernel's.
    static let truncations = (14..<42).map { (length: Int) in
        Case("\(length) bytes of a frame to a service", ours: length >= 34) { $0.cut = length }
    }

    @Test func `each frame is steered by its addresses, ports and protocol`() async throws {
        try await VethPair.with { pair in
            try await pair.near.perform {
                let facts = try InterfaceFacts(name: VethPair.nearName)
                var program = try SteeringProgram(
                    interface: facts.name, index: facts.index, modes: [.native])
                try program.change(to: Self.rules)
                for example in Self.services + Self.replies + Self.truncations {
                    let before = program.verdictCounters()
                    let action = try program.testRun(example.frame.bytes)
                    let after = program.verdictCounters()
                    #expect(action == 2, "\(example.testDescription)")
                    #expect(
                        after.withoutSocket - before.withoutSocket == (example.isOurs ? 1 : 0),
                        "\(example.testDescription)")
                    #expect(
                        after.passed - before.passed >= (example.isOurs ? 0 : 1),
                        "\(example.testDescription)")
                    #expect(after.redirected == 0, "\(example.testDescription)")
                }
            }
        }
    }

    private static func isOurs(
        _ example: Case, _ program: borrowing SteeringProgram
    ) throws -> Bool {
        let before = program.verdictCounters().withoutSocket
        _ = try program.testRun(example.frame.bytes)
        return program.verdictCounters().withoutSocket > before
    }

    @Test func `a change adds, alters and removes, and leaves the rest`() async throws {
        try await VethPair.with { pair in
            try await pair.near.perform {
                let facts = try InterfaceFacts(name: VethPair.nearName)
                var program = try SteeringProgram(
                    interface: facts.name, index: facts.index, modes: [.native])
                let udp = Case("UDP", ours: true) { _ in }
                let ssh = Case("SSH", ours: true) { ($0.transport, $0.destinationPort) = (6, 22) }
                let reply = Case.reply("a reply", ours: true)
                #expect(try !Self.isOurs(udp, program))

                try program.change(to: Self.rules)
                #expect(try Self.isOurs(udp, program))
                #expect(try Self.isOurs(reply, program))

                var next = Self.rules
                next.vips = [Self.prefix(Self.vip): [.init(22...22, transport: 6)]]
                next.pool = [XSKFrame.mapped(Self.snatAddress): [3000...3001]]
                try program.change(to: next)
                #expect(try !Self.isOurs(udp, program))
                #expect(try Self.isOurs(ssh, program))
                #expect(try !Self.isOurs(reply, program))

                try program.change(to: SteeringRules())
                #expect(try !Self.isOurs(ssh, program))
            }
        }
    }

    @Test func `rules that do not fit are refused and the ones before stay`() async throws {
        try await VethPair.with { pair in
            try await pair.near.perform {
                let facts = try InterfaceFacts(name: VethPair.nearName)
                var program = try SteeringProgram(
                    interface: facts.name, index: facts.index, modes: [.native],
                    mapSizes: ["ports": 8])
                try program.change(to: Self.rules)
                var tooMany = Self.rules
                tooMany.pool = [XSKFrame.mapped(Self.snatAddress): [5...6]]
                for port in UInt16(1)..<100 {
                    tooMany.vips[Self.prefix(Self.vip), default: []]
                        .insert(.init(port * 64...port * 64, transport: 6))
                }
                let error = #expect(throws: XSKError.self) {
                    try program.change(to: tooMany)
                }
                #expect(error?.description.contains("E2BIG") == true)

                let before = program.verdictCounters().withoutSocket
                _ = try program.testRun(XSKFrame().bytes)
                _ = try program.testRun(Case.reply("", ours: true).frame.bytes)
                #expect(program.verdictCounters().withoutSocket == before + 2)
                // Nothing of the refused rules is left: there is room for as many as before.
                var fitting = Self.rules
                for port in UInt16(2)..<7 {
                    fitting.vips[Self.prefix(Self.vip), default: []]
                        .insert(.init(port * 64...port * 64, transport: 6))
                }
                try program.change(to: fitting)
            }
        }
    }
}
