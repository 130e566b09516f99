// SPDX-License-Identifier: Apache-2.0
import Foundation
import Logging
import Testing

@testable import ControlPlane

@Suite final class StateStoreTests {
    private let directory = NSTemporaryDirectory() + "xdplb-state-\(UUID().uuidString)"
    private let events = EventLog(Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    private let override = BackendOverride(
        service: "web", endpoint: "20.1.1.10", adminState: .init(value: .draining, file: .active),
        user: "alice", date: Date(timeIntervalSince1970: 1_790_000_000))

    deinit { try? FileManager.default.removeItem(atPath: directory) }

    private var store: StateStore { StateStore(directory, events: events) }
    private var path: String { directory + "/backends.json" }

    @Test func `what commands set is kept, and nothing is missed where nothing was`() {
        #expect(store.loadOverrides().isEmpty)
        store.keep(overrides: [override])
        #expect(store.loadOverrides() == [override])
        #expect(events.recent(10).isEmpty)
    }

    @Test func `a file that cannot be read is told and put aside, not overwritten`() throws {
        store.keep(overrides: [override])
        let broken = "[{\"service\": \"web\","
        try broken.write(toFile: path, atomically: false, encoding: .utf8)
        #expect(store.loadOverrides().isEmpty)
        #expect(events.recent(10).map(\.kind) == [.stateNotKept])
        store.keep(overrides: [override])
        #expect(try String(contentsOfFile: path + ".bad", encoding: .utf8) == broken)
        #expect(store.loadOverrides() == [override])
    }

    @Test func `the last twenty files are kept, and one that is the same only once`() {
        for generation in 1...30 as ClosedRange<UInt64> {
            store.keep("version: \(generation)", generation: generation)
        }
        #expect(store.generations == Array(11...30))
        store.keep("version: 30", generation: 31)
        #expect(store.generations.last == 30)
        store.keep("version: 29", generation: 32)
        #expect(store.generations == Array(12...30) + [32])
    }

    @Test func `a directory that cannot be written is told`() {
        StateStore("/dev/null/state", events: events).keep("version: 1", generation: 1)
        #expect(events.recent(10).map(\.kind) == [.stateNotKept])
    }
}
