// SPDX-License-Identifier: Apache-2.0
import DataPlane
import Foundation
import TestSupport
import Testing

@testable import ControlPlane

@Suite struct DropWordsTests {
    private static func view() throws -> ControlView {
        let text = """
            version: 1
            interfaces: [{name: lb0}]
            services:
              - name: dns
                vips: [203.0.113.53]
                ports: [53/udp]
                source_ranges: [10.0.0.0/8]
                backends: [{address: 10.1.2.11, name: dns-1}]
            """
        let configuration = try #require(ConfigurationReader.read(text).configuration)
        let service = configuration.services[0]
        let maglev = MaglevTable(members: [], size: 251, key: PlanFixture.key)
        let view = ServiceView(
            id: 0, configuration: service, keys: service.keys,
            backends: [
                BackendView(
                    id: 0, configuration: service.backends[0], isRemoved: false, isEligible: true,
                    reason: nil, slots: 0, since: Date(), changedBy: nil, nextHop: nil)
            ], maglev: maglev, fingerprint: maglev.fingerprint, rebuilds: 1, movedSlots: 0)
        return ControlView(
            configuration: configuration, generation: 1, appliedAt: Date(), startedAt: Date(),
            differsFromFile: nil, lastReload: ReloadState(), services: [view], nextHops: [],
            snatAddresses: [], problems: [])
    }

    private static let flow = FiveTuple(
        source: PlanFixture.address("192.0.2.77"), sourcePort: 4431,
        destination: PlanFixture.address("203.0.113.53"), destinationPort: 53, transport: .udp)

    private static func example(
        _ reason: DropReason, service: UInt16? = 0, backend: UInt16? = nil,
        packetLength: UInt16 = 0, answered: Bool = false
    ) -> DropExample {
        DropExample(
            reason: reason, flow: flow, service: service, backend: backend,
            packetLength: packetLength, wasAnswered: answered, tick: Tick(milliseconds: 0))
    }

    @Test func `an example is a flow with words`() throws {
        let words = DropWords(try Self.view())
        #expect(
            words.text(Self.example(.policy))
                == "192.0.2.77:4431 -> 203.0.113.53:53/udp, outside source_ranges of dns")
        #expect(
            words.text(Self.example(.tooBig, backend: 0, packetLength: 1500, answered: true))
                == """
                192.0.2.77:4431 -> 203.0.113.53:53/udp, 1500 + 20 bytes over the MTU; ICMP sent
                """)
        #expect(
            words.text(Self.example(.noService, service: nil)).hasSuffix("no service is there"))
        let nothing = DropExample(reason: .notIP, flow: nil, tick: Tick(milliseconds: 0))
        #expect(words.text(nothing) == "no IP, or none of TCP, UDP and ICMP")
    }

    @Test func `every reason has words, also when its service is gone`() throws {
        let words = DropWords(try Self.view())
        var texts: Set<String> = []
        for reason in DropReason.allCases {
            #expect(!words.text(Self.example(reason, service: 9, backend: 9)).isEmpty)
            texts.insert(words.text(Self.example(reason)))
        }
        #expect(texts.count == DropReason.allCases.count)
    }

    @Test func `every loss in the kernel has a remedy and a chapter`() {
        for loss in KernelLoss.allCases {
            #expect(!loss.remedy.isEmpty && !loss.chapter.meaning.isEmpty)
            #expect(!loss.chapter.causes.isEmpty && !loss.chapter.commands.isEmpty)
            // A name must not mean two things to --explain.
            #expect(DropReason(token: loss.rawValue) == nil)
        }
    }

    @Test func `the time of the last drop is when the counter was seen to grow`() {
        let rates = RateSampler()
        rates.sample([.drop(.policy): 5])
        // What was there before the first look may be old.
        #expect(rates.lastGrowth(.drop(.policy), now: 5) == nil)
        #expect(rates.lastGrowth(.drop(.policy), now: 6) != nil)
        rates.sample([.drop(.policy): 7], at: .now + .seconds(1))
        let grown = rates.lastGrowth(.drop(.policy), now: 7)
        #expect(grown != nil)
        rates.sample([.drop(.policy): 7], at: .now + .seconds(2))
        #expect(rates.lastGrowth(.drop(.policy), now: 7) == grown)
    }
}
