// SPDX-License-Identifier: Apache-2.0
import Foundation
import Logging
import Synchronization
import TestSupport
import Testing

@testable import ControlPlane
@testable import DataPlane

/// A source whose frames come from a pipeline in memory; one worker.
private final class HarnessSource: CaptureSource {
    let rings: [CaptureRing]
    let clockOffset: UInt64 = 0
    let starts = Atomic<Int>(0)
    let stops = Atomic<Int>(0)

    init(_ rings: [CaptureRing]) { self.rings = rings }

    func start() { starts.add(1, ordering: .relaxed) }
    func stop() async { stops.add(1, ordering: .relaxed) }
}

@Suite struct CaptureRunTests {
    private static func quiet() -> CaptureDesk {
        CaptureDesk(
            events: EventLog(Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }))
    }

    private static func view(_ mode: String = "dsr") throws -> ControlView {
        let text = """
            version: 1
            interfaces: [{name: lb0}]
            services:
              - name: web
                vips: [40.1.1.1]
                ports: [80/tcp]
                mode: \(mode)
                backends: [{address: 20.1.1.10, name: web-1}, {address: 20.1.1.20, name: web-2}]
            """
        let configuration = try #require(ConfigurationReader.read(text).configuration)
        let service = configuration.services[0]
        let maglev = MaglevTable(members: [], size: 251, key: PlanFixture.key)
        let backends = service.backends.enumerated().map { index, backend in
            BackendView(
                id: UInt16(index), configuration: backend, isRemoved: false, isEligible: true,
                reason: nil, slots: 0, since: Date(), changedBy: nil, nextHop: nil)
        }
        let view = ServiceView(
            id: 0, configuration: service, keys: service.keys, backends: backends, maglev: maglev,
            fingerprint: maglev.fingerprint, rebuilds: 1, movedSlots: 0)
        return ControlView(
            configuration: configuration, generation: 1, appliedAt: Date(), startedAt: Date(),
            differsFromFile: nil, lastReload: ReloadState(), services: [view], nextHops: [],
            snatAddresses: [], problems: [])
    }

    private static func run(
        _ source: HarnessSource, _ bounds: CaptureBounds, _ desk: CaptureDesk = quiet(),
        isStopping: @escaping @Sendable () -> Bool = { false },
        _ output: CaptureRun.Output
    ) async throws {
        let view = try view()
        let surroundings = CaptureRun.Surroundings(
            facts: DataPlaneFacts(
                interface: "lb0", interfaceIndex: 2, driver: "veth", attachMode: "native",
                bindMode: "copy", numaNode: nil,
                workers: source.rings.map { _ in WorkerFacts(queue: 5, cpu: nil) },
                umemBytes: 0, tableBytes: 0, connectionsPerWorker: 1, usesHugePages: false),
            version: "test", view: { view }, isStopping: isStopping)
        var run = CaptureRun(source, bounds, snapLength: 2048, surroundings, view)
        await run.run(in: try desk.take(CaptureRequest(), for: 1, by: "alice"), output)
    }

    /// A pipeline whose first frames were captured.
    private static func captured(_ frames: [[UInt8]]) -> (PipelineHarness, HarnessSource) {
        let harness = PipelineHarness(PlanFixture.plan(.dsr))
        let ring = harness.capture(CaptureSettings(snapLength: 2048))
        _ = harness.send(frames)
        return (harness, HarnessSource([ring]))
    }

    @Test func `a count ends it after so many frames, and the stream is whole`() async throws {
        let frames = (1...9).map { port in PacketBuilder().with { $0.sourcePort = port }.frame }
        let (harness, source) = Self.captured(frames)
        var bytes: [UInt8] = []
        try await Self.run(source, CaptureBounds(count: 4, seconds: 60)) { bytes += $0 }
        #expect(source.starts.load(ordering: .relaxed) == 1)
        #expect(source.stops.load(ordering: .relaxed) == 1)
        let path = NSTemporaryDirectory() + "xdplb-run-\(UUID().uuidString).pcapng"
        defer { try? FileManager.default.removeItem(atPath: path) }
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        var reader = try CaptureFileReader(path: path)
        for frame in frames.prefix(4) {
            #expect(try reader.next()?.bytes == frame)
            let sent = try #require(try reader.next())
            #expect(Array(sent.bytes.suffix(frame.count - 14)) == Array(frame[14...]))
        }
        #expect(try reader.next() == nil)
        _ = harness
    }

    @Test func `a BPF program takes its share, and is not counted by what it leaves out`()
        async throws
    {
        let frames = (1...9).map { port in PacketBuilder().with { $0.sourcePort = port }.frame }
        let (harness, source) = Self.captured(frames)
        var bytes: [UInt8] = []
        // ldh [34]; jeq #7, accept, refuse: the source port.
        let program = try PacketFilterProgram("4, 40 0 0 34, 21 0 1 7, 6 0 0 1, 6 0 0 0")
        try await Self.run(source, CaptureBounds(count: 1, seconds: 60, program: program)) {
            bytes += $0
        }
        #expect(String(decoding: bytes, as: UTF8.self).contains("connection=miss worker=0"))
        #expect(bytes.contains(sequence: frames[6]))
        #expect(!bytes.contains(sequence: frames[5]))
        _ = harness
    }

    @Test func `the time, the daemon's end and somebody's wish end it`() async throws {
        let (harness, source) = Self.captured([PacketBuilder().frame])
        var bytes: [UInt8] = []
        try await Self.run(source, CaptureBounds(seconds: 0.05)) { bytes += $0 }
        #expect(bytes.contains(sequence: PacketBuilder().frame))
        try await Self.run(
            source, CaptureBounds(seconds: 3600), isStopping: { true }, { bytes += $0 })
        let desk = Self.quiet()
        try await Self.run(source, CaptureBounds(seconds: 3600), desk) { _ in
            #expect(desk.end(nil))
        }
        #expect(source.stops.load(ordering: .relaxed) == 3)
        _ = harness
    }

    @Test func `what is in the rings at the end is still sent, however much it is`() async throws {
        let frame = PacketBuilder().with { $0.payload = [UInt8](repeating: 7, count: 1000) }.frame
        let (harness, source) = Self.captured([[UInt8]](repeating: frame, count: 1500))
        var bytes: [UInt8] = []
        try await Self.run(
            source, CaptureBounds(seconds: 3600), isStopping: { true }, { bytes += $0 })
        let path = NSTemporaryDirectory() + "xdplb-rest-\(UUID().uuidString).pcapng"
        defer { try? FileManager.default.removeItem(atPath: path) }
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        var reader = try CaptureFileReader(path: path)
        var count = 0
        while try reader.next() != nil { count += 1 }
        #expect(count == 2 * 1500)
        _ = harness
    }

    @Test func `a busy worker does not keep the frames of another from the reader`() async throws {
        let frame = PacketBuilder().with { $0.payload = [UInt8](repeating: 7, count: 1000) }.frame
        let (busy, first) = Self.captured([[UInt8]](repeating: frame, count: 1500))
        let (quiet, second) = Self.captured([PacketBuilder().frame])
        var pieces: [[UInt8]] = []
        try await Self.run(
            HarnessSource(first.rings + second.rings), CaptureBounds(seconds: 3600),
            isStopping: { false }
        ) {
            pieces.append($0)
            if pieces.count == 2 { throw CancellationError() }
        }
        #expect(
            String(decoding: pieces.joined(), as: UTF8.self).contains("connection=miss worker=1"))
        _ = (busy, quiet)
    }

    @Test func `a program that takes almost nothing does not put off the end or the time`()
        async throws
    {
        let frames = (1...1500).map { port in PacketBuilder().with { $0.sourcePort = port }.frame }
        let (harness, source) = Self.captured(frames)
        // ldh [34]; jeq #1500, accept, refuse: the source port of the last one.
        let program = try PacketFilterProgram("4, 40 0 0 34, 21 0 1 1500, 6 0 0 1, 6 0 0 0")
        let looks = Atomic<Int>(0)
        try await Self.run(
            source, CaptureBounds(count: 1, seconds: 60, program: program),
            isStopping: {
                looks.add(1, ordering: .relaxed)
                return false
            }
        ) { _ in }
        #expect(looks.load(ordering: .relaxed) >= 5)
        _ = harness
    }

    @Test func `a reader that is gone ends it`() async throws {
        struct Gone: Error {}
        let (harness, source) = Self.captured([PacketBuilder().frame])
        try await Self.run(source, CaptureBounds(seconds: 3600)) { _ in throw Gone() }
        #expect(source.stops.load(ordering: .relaxed) == 1)
        _ = harness
    }

    @Test func `there is one capture at a time, and the second is told whose it is`() throws {
        let desk = Self.quiet()
        var request = CaptureRequest()
        request.service = "web"
        var place: CapturePlace? = try desk.take(request, for: 60, by: "alice")
        let refusal = #expect(throws: ChangeRefused.self) {
            try desk.take(CaptureRequest(), for: 60, by: "bob")
        }
        #expect(refusal?.kind == .conflict)
        #expect(refusal?.message.contains("a capture by alice is running since") == true)
        #expect(refusal?.message.contains("(service web) and ends within 60 s") == true)
        #expect(!desk.end(99))
        #expect(place?.isEnded == false)
        #expect(desk.end(place?.number))
        #expect(place?.isEnded == true)
        place = nil
        #expect(try desk.take(CaptureRequest(), for: 60, by: "bob").isEnded == false)
        #expect(!desk.end(nil))
    }

    @Test func `requests become filters by number, or are refused with what is wrong`() throws {
        let view = try Self.view()
        var request = CaptureRequest()
        request.service = "40.1.1.1:80/tcp"
        request.backend = "web-2"
        request.client = "10.0.0.9"
        request.reason = "policy"
        request.points = ["rx", "drop"]
        request.sample = 10
        request.syn = true
        let filter = try request.settings(view).filter
        #expect(filter.service == 0 && filter.backend == 1 && filter.reason == .policy)
        #expect(filter.client == PlanFixture.address("10.0.0.9") && filter.isOnlySYN)
        #expect(filter.points == [.received, .dropped] && filter.sampling == 10)
        let wrong: [(inout CaptureRequest) -> Void] = [
            { $0.service = "mail" }, { $0.backend = "web/none" }, { $0.client = "x" },
            { $0.reason = "unknown" }, { $0.points = ["up"] }, { $0.points = [] },
            { $0.sample = 0 }, { $0.snapLength = 0 }, { $0.snapLength = 1 << 20 },
            { $0.seconds = 0 }, { $0.seconds = 1e9 }, { $0.seconds = .nan }, { $0.count = 0 },
            { $0.bpf = "1 2 3" },
        ]
        for change in wrong {
            var request = CaptureRequest()
            change(&request)
            #expect(throws: ChangeRefused.self) {
                _ = try request.settings(view)
                _ = try request.bounds()
            }
        }
    }

    @Test func `the comment says service, mode, backend, connection, worker and reason`() throws {
        let words = CaptureWords(try Self.view())
        func record(_ change: (inout CaptureRecord) -> Void) -> CapturedPair {
            var record = CaptureRecord(
                number: 1, receivedAt: 0, sentAt: 0, receivedLength: 0, sentLength: 0,
                service: 0, backend: 1, reason: nil, outcome: .sent, lookup: .hit,
                isHandedOver: false)
            change(&record)
            return CapturedPair(record: record, received: [], sent: [])
        }
        #expect(
            words.comment(on: record { _ in }, worker: 2)
                == "web dsr web-2 connection=hit worker=2")
        #expect(
            words.comment(
                on: record {
                    $0.backend = nil
                    $0.reason = .policy
                    $0.outcome = .dropped
                    $0.lookup = .none
                }, worker: 0) == "web dsr worker=0 drop=policy")
        #expect(
            words.comment(
                on: record {
                    $0.reason = .tooBig
                    $0.outcome = .refused
                    $0.lookup = .miss
                    $0.isHandedOver = true
                }, worker: 1)
                == "web dsr web-2 connection=miss worker=1 handed-over drop=too_big answered")
        #expect(
            words.comment(
                on: record {
                    $0.service = nil
                    $0.backend = nil
                    $0.lookup = .none
                }, worker: 0) == "answer worker=0")
    }
}

extension [UInt8] {
    fileprivate func contains(sequence: [UInt8]) -> Bool { firstRange(of: sequence) != nil }
}
