// SPDX-License-Identifier: Apache-2.0
import TestSupport
import Testing

@testable import DataPlane

/// A table over memory of its own.
private final class OwnedTableMemory {
    let memory: UnsafeMutableRawPointer
    let table: ConnectionTable

    init(capacity: Int) {
        let byteCount = ConnectionTable.byteCount(capacity: capacity)
        unsafe memory = .allocate(byteCount: byteCount, alignment: 64)
        unsafe memory.initializeMemory(as: UInt8.self, repeating: 0, count: byteCount)
        table = unsafe ConnectionTable(
            in: UnsafeMutableRawBufferPointer(start: memory, count: byteCount),
            capacity: capacity, hashKeyIdentity: 1)
    }

    deinit { unsafe memory.deallocate() }
}

@Suite struct ConnectionTableTests {
    private static func entry(_ number: Int) -> ConnectionEntry {
        let flow = FiveTuple(
            source: IPAddress(IPv4Address(UInt32(number))), sourcePort: 1,
            destination: PlanFixture.address("40.1.1.1"), destinationPort: 80, transport: .tcp)
        return ConnectionEntry(
            key: flow, service: 0, backend: 0, backendEpoch: 0, mode: .dsr, state: .established,
            snatAddress: 0, snatPort: 0, tick: Tick(milliseconds: 0))
    }

    @Test func `an entry is one cache line`() {
        #expect(MemoryLayout<ConnectionEntry>.stride == 64)
        #expect(MemoryLayout<TableHeader>.size <= TableHeader.byteCount)
    }

    /// Hashes are drawn from few values, so that buckets overflow and tags are equal.
    @Test(arguments: [64, 5000])
    func `random inserts, look-ups and removals agree with a dictionary`(_ capacity: Int) {
        let owned = OwnedTableMemory(capacity: capacity)
        var generator = SeededGenerator(state: 21)
        var model: [Int: (index: UInt32, hash: UInt64)] = [:]
        var number = 0
        for _ in 0..<100_000 {
            if Bool.random(using: &generator) || model.isEmpty {
                number += 1
                let index = owned.table.allocate()
                guard index != 0 else {
                    #expect(model.count == capacity)
                    continue
                }
                owned.table[index] = Self.entry(number)
                let hash = generator.next() & 0xff00_000f_ff00_000f
                if owned.table.link(index, by: hash) {
                    model[number] = (index, hash)
                } else {
                    owned.table.release(index)
                }
            } else if let victim = model.randomElement(using: &generator) {
                let wanted = Self.entry(victim.key).key
                let found = owned.table.find(victim.value.hash) {
                    FiveTuple.same(owned.table[$0].key, wanted)
                }
                #expect(found == victim.value.index)
                owned.table.unlink(found, by: victim.value.hash)
                owned.table.release(found)
                model[victim.key] = nil
                #expect(
                    owned.table.find(victim.value.hash) {
                        FiveTuple.same(owned.table[$0].key, wanted)
                    } == 0)
            }
        }
        #expect(owned.table.count == model.count)
        for (number, place) in model {
            let wanted = Self.entry(number).key
            #expect(
                owned.table.find(place.hash) { FiveTuple.same(owned.table[$0].key, wanted) }
                    == place.index)
        }
    }

    @Test func `all entries can be used, released and used again`() {
        let owned = OwnedTableMemory(capacity: 1000)
        for _ in 0..<3 {
            let indices = (0..<1000).map { _ in owned.table.allocate() }
            #expect(Set(indices).count == 1000 && !indices.contains(0))
            #expect(owned.table.allocate() == 0)
            indices.forEach { owned.table.release($0) }
            #expect(owned.table.count == 0)
        }
    }

    @Test func `two flows with one hash have separate entries`() {
        let owned = OwnedTableMemory(capacity: 100)
        let indices = (0..<20).map { number -> UInt32 in
            let index = owned.table.allocate()
            owned.table[index] = Self.entry(number)
            let isLinked = owned.table.link(index, by: 0x1234_5678_9abc_def0)
            #expect(isLinked)
            return index
        }
        for (number, index) in indices.enumerated() {
            let wanted = Self.entry(number).key
            #expect(
                owned.table.find(0x1234_5678_9abc_def0) {
                    FiveTuple.same(owned.table[$0].key, wanted)
                } == index)
        }
    }
}

/// States a connection goes through, for each side and segment.
@Suite struct ConnectionStateTests {
    struct Step: CustomTestStringConvertible, Sendable {
        let testDescription: String
        let mode: ForwardingMode
        let from: ConnectionState
        /// Segments in order: true for the client's.
        let segments: [(isClient: Bool, flags: TCPFlags)]
        let to: ConnectionState
    }

    private static let steps: [Step] = [
        .init(
            testDescription: "dsr: the client's ACK completes the handshake", mode: .dsr,
            from: .opening, segments: [(true, .ack)], to: .established),
        .init(
            testDescription: "snat: an ACK without a SYN-ACK before it does not", mode: .snat,
            from: .opening, segments: [(true, .ack)], to: .opening),
        .init(
            testDescription: "snat: SYN-ACK, then ACK", mode: .snat, from: .opening,
            segments: [(false, [.syn, .ack]), (true, .ack)], to: .established),
        .init(
            testDescription: "a repeated SYN stays half-open", mode: .snat, from: .opening,
            segments: [(true, .syn)], to: .opening),
        .init(
            testDescription: "a client's FIN closes half", mode: .snat, from: .established,
            segments: [(true, [.fin, .ack])], to: .closing),
        .init(
            testDescription: "a backend's FIN closes half", mode: .snat, from: .established,
            segments: [(false, [.fin, .ack])], to: .closing),
        .init(
            testDescription: "both FINs close", mode: .snat, from: .established,
            segments: [(true, [.fin, .ack]), (false, [.fin, .ack])], to: .closed),
        .init(
            testDescription: "crossing FINs close", mode: .snat, from: .established,
            segments: [(false, .fin), (true, .fin)], to: .closed),
        .init(
            testDescription: "data after a FIN keeps closing", mode: .snat, from: .established,
            segments: [(true, [.fin, .ack]), (false, .ack), (true, .ack)], to: .closing),
        .init(
            testDescription: "a client's RST resets", mode: .dsr, from: .established,
            segments: [(true, .rst)], to: .reset),
        .init(
            testDescription: "a backend's RST resets", mode: .snat, from: .established,
            segments: [(false, [.rst, .ack])], to: .reset),
        .init(
            testDescription: "a FIN after a RST stays reset", mode: .snat, from: .established,
            segments: [(false, .rst), (true, .fin)], to: .reset),
        .init(
            testDescription: "UDP stays UDP", mode: .snat, from: .datagram,
            segments: [(true, .rst), (false, .fin)], to: .datagram),
    ]

    @Test(arguments: steps)
    func `a connection follows its segments`(_ step: Step) {
        let flow = FiveTuple(
            source: PlanFixture.address("10.0.0.9"), sourcePort: 1,
            destination: PlanFixture.address("40.1.1.1"), destinationPort: 80, transport: .tcp)
        var entry = ConnectionEntry(
            key: flow, service: 0, backend: 0, backendEpoch: 0, mode: step.mode, state: step.from,
            snatAddress: 0, snatPort: 0, tick: Tick(milliseconds: 0))
        for segment in step.segments {
            if segment.isClient {
                entry.advanceFromClient(segment.flags)
            } else {
                entry.advanceFromBackend(segment.flags)
            }
        }
        #expect(entry.state == step.to)
        #expect(entry.mode == step.mode)
    }
}
