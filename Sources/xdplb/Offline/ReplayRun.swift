// SPDX-License-Identifier: Apache-2.0
internal import ControlPlane
internal import DataPlane
internal import Foundation
internal import Glibc

/// A run of `replay`: numbers the inputs, keeps the clock, and words the results.
struct ReplayRun {
    private var control: OfflineControl
    private let pipeline: OfflinePipeline
    private(set) var count = 0

    /// A run of a configuration.
    ///
    /// - Throws: ``CommandFailure`` when the configuration cannot be run without an interface.
    init(_ configuration: Configuration, hashKey: HashKey) throws(CommandFailure) {
        do {
            control = try OfflineControl(configuration, hashKey: hashKey)
            pipeline = try OfflinePipeline(
                control.plan, connections: configuration.connections.entriesPerWorker,
                hashKey: hashKey)
        } catch {
            throw CommandFailure(.invalid, "\(error)")
        }
    }

    /// Runs a frame; what became of it, and the line that says so.
    ///
    /// - Parameters:
    ///   - bytes: The frame.
    ///   - nanoseconds: Its time.
    ///   - time: The same as it is to be printed.
    ///   - showsFrames: Whether the line has the frames out, or their number.
    /// - Returns: What became of it, and the line that says so.
    mutating func process(
        _ bytes: [UInt8], at nanoseconds: UInt64, time: String, showsFrames: Bool
    ) -> (outcome: OfflinePipeline.Outcome, line: String) {
        pipeline.advance(to: nanoseconds)
        let outcome = pipeline.process(bytes)
        var line = "{\"n\":\(count),\"t\":\(time),\"verdict\":"
        switch outcome.verdict {
        case .transmit: line += "\"tx\",\"reason\":\"\""
        case .wait: line += "\"drop\",\"reason\":\"\(DropReason.noNeighbour.token)\""
        case .pass: line += "\"pass\",\"reason\":\"\""
        case .drop(let reason): line += "\"drop\",\"reason\":\"\(reason.token)\""
        }
        line += ",\"out\":"
        if showsFrames {
            line += "[" + outcome.frames.map { "\"\(Self.hex($0))\"" }.joined(separator: ",") + "]"
        } else {
            line += "\(outcome.frames.count)"
        }
        if let service = outcome.service.flatMap(control.serviceName) {
            line += ",\"service\":\"\(service)\""
        }
        if let backend = outcome.backend.flatMap(control.backendAddress) {
            line += ",\"backend\":\"\(backend)\""
        }
        count += 1
        return (outcome, line + "}")
    }

    /// Applies changes; the line that says so.
    ///
    /// - Throws: ``ReplayFailure`` when they make no sense; then nothing has changed.
    mutating func apply(
        _ changes: [OfflineBackendChange], at nanoseconds: UInt64
    ) throws(ReplayFailure) -> String {
        try applyUnnumbered(changes, at: nanoseconds)
        defer { count += 1 }
        return "{\"n\":\(count),\"ok\":true}"
    }

    /// Applies changes that are no input of their own.
    ///
    /// - Throws: ``ReplayFailure`` when they make no sense; then nothing has changed.
    mutating func applyUnnumbered(
        _ changes: [OfflineBackendChange], at nanoseconds: UInt64
    ) throws(ReplayFailure) {
        pipeline.advance(to: nanoseconds)
        do {
            try control.apply(changes)
        } catch {
            throw ReplayFailure("\(error)")
        }
        pipeline.publish(control.plan)
    }

    /// What was counted, as JSON.
    var statistics: String {
        let counters = pipeline.counters
        let drops = DropReason.allCases.filter { counters[$0] > 0 }
            .map { "\"\($0.token)\":\(counters[$0])" }.joined(separator: ",")
        let ports = pipeline.connectionCount(of: .snat)
        return """
            {"frames":\(count),"drops":{\(drops)},"transmitted":\(pipeline.transmittedCount),\
            "passed":\(pipeline.passedCount),"echo_replies":\(counters[.echoReplies]),\
            "refusals":\(counters[.refusals]),"flows":\(pipeline.connectionCount),\
            "sessions":\(ports),"snat_ports":\(ports),"insertions":\(counters[.insertions]),\
            "evictions":{"idle":\(counters[.evictionsIdle]),\
            "closed":\(counters[.evictionsClosed]),"pressure":\(counters[.evictionsPressure]),\
            "flush":\(counters[.evictionsFlush])},"peak_memory_bytes":\(Self.peakMemory)}
            """
    }

    private static var peakMemory: Int {
        var usage = rusage()
        _ = unsafe getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        return usage.ru_maxrss * 1024
    }

    private static func hex(_ bytes: [UInt8]) -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(unsafeUninitializedCapacity: bytes.count * 2) { buffer in
            for (index, byte) in bytes.enumerated() {
                unsafe buffer[index * 2] = digits[Int(byte >> 4)]
                unsafe buffer[index * 2 + 1] = digits[Int(byte & 15)]
            }
            return bytes.count * 2
        }
    }
}
