// SPDX-License-Identifier: Apache-2.0
internal import ControlPlane
internal import Foundation

/// `replay --in --out --log`: from a capture to a capture and a log.
struct ReplayFiles {
    let input: String
    let output: String
    let log: String
    let events: String?

    /// An event and where it stands.
    private struct Event {
        var line: Int
        var nanoseconds: UInt64
        var changes: [OfflineBackendChange]
    }

    /// Runs the whole capture.
    ///
    /// - Throws: ``CommandFailure`` when a file cannot be read or written; what was run until then
    ///   is in the files.
    func run(_ run: inout ReplayRun) throws {
        var events = try readEvents()[...]
        do {
            var reader = try CaptureFileReader(path: input)
            var writer = try CaptureFileWriter(path: output)
            let lines = try LineWriter(path: log)
            defer { lines.close() }
            while let frame = try reader.next() {
                while let event = events.first, event.nanoseconds <= frame.nanoseconds {
                    try apply(event, &run)
                    events.removeFirst()
                }
                let (outcome, line) = run.process(
                    frame.bytes, at: frame.nanoseconds, time: ReplayTime.text(frame.nanoseconds),
                    showsFrames: false)
                for sent in outcome.frames {
                    try writer.write(sent, nanoseconds: frame.nanoseconds)
                }
                lines.write(line)
            }
            try writer.close()
        } catch let error as CaptureFileError {
            throw CommandFailure(.invalid, "\(error)")
        }
    }

    private func apply(_ event: Event, _ run: inout ReplayRun) throws(CommandFailure) {
        do throws(ReplayFailure) {
            // Events have no line in the log, so their number is given back.
            try run.applyUnnumbered(event.changes, at: event.nanoseconds)
        } catch {
            throw CommandFailure(
                .invalid, "\(events ?? ""):\(event.line): the action cannot be done: \(error)")
        }
    }

    private func readEvents() throws(CommandFailure) -> [Event] {
        guard let path = events else { return [] }
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
            throw CommandFailure(.invalid, "cannot read the events of \(path)")
        }
        var found: [Event] = []
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        for (index, line) in lines.enumerated() where !line.allSatisfy(\.isWhitespace) {
            do throws(ReplayFailure) {
                guard case .action(let nanoseconds, let changes) = try ReplayLine(line) else {
                    throw ReplayFailure("has a frame; events are actions")
                }
                found.append(Event(line: index + 1, nanoseconds: nanoseconds, changes: changes))
            } catch {
                throw CommandFailure(.invalid, "\(path):\(index + 1): \(error)")
            }
        }
        return found.sorted { $0.nanoseconds < $1.nanoseconds }
    }
}

/// Lines into a file, in large pieces.
private final class LineWriter {
    private let handle: FileHandle
    private var pending = Data()
    private static let pieceByteCount = 1 << 20

    init(path: String) throws(CommandFailure) {
        guard FileManager.default.createFile(atPath: path, contents: nil),
            let handle = FileHandle(forWritingAtPath: path)
        else { throw CommandFailure(.invalid, "cannot write the log \(path)") }
        self.handle = handle
    }

    func write(_ line: String) {
        pending.append(contentsOf: line.utf8)
        pending.append(UInt8(ascii: "\n"))
        if pending.count >= Self.pieceByteCount { flush() }
    }

    func close() {
        flush()
        try? handle.close()
    }

    private func flush() {
        handle.write(pending)
        pending.removeAll(keepingCapacity: true)
    }
}
