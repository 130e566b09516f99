// SPDX-License-Identifier: Apache-2.0
import Logging

/// Holds back events that say the same again and again, and counts them.
///
/// Of equal events, which have one kind, level and fields, ``allowance`` are let through in a
/// ``window``; for the others one more is written at its end, with their number as `suppressed`.
struct RepetitionLimiter {
    /// Equal events that are let through.
    static let allowance = 5
    /// Time that starts with the first of them.
    static let window = Duration.seconds(10)
    /// Different events that are remembered; more are let through without being counted.
    private static let capacity = 1024

    private struct Repetition {
        let since: ContinuousClock.Instant
        var count: Int
        var latest: LogRecord
    }

    private var repetitions: [String: Repetition] = [:]

    /// When the next of those with something held back ends; `nil` when nothing is.
    var nextEnd: ContinuousClock.Instant? {
        repetitions.values.filter { $0.count > Self.allowance }.map { $0.since + Self.window }.min()
    }

    /// Takes an event.
    ///
    /// - Parameters:
    ///   - record: The event.
    ///   - now: The present.
    /// - Returns: Whether it is to be written.
    mutating func admits(_ record: LogRecord, at now: ContinuousClock.Instant) -> Bool {
        let key = "\(record.level) \(Logfmt.text(record))"
        guard var repetition = repetitions[key] else {
            if repetitions.count < Self.capacity {
                repetitions[key] = Repetition(since: now, count: 1, latest: record)
            }
            return true
        }
        repetition.count += 1
        repetition.latest = record
        repetitions[key] = repetition
        return repetition.count <= Self.allowance
    }

    /// Forgets what began a ``window`` ago, or all of it.
    ///
    /// - Parameter now: The present; `nil` ends everything.
    /// - Returns: What is to be written about events that were held back.
    mutating func end(at now: ContinuousClock.Instant?) -> [LogRecord] {
        let ended = repetitions.filter { repetition in
            now.map { $0 - repetition.value.since >= Self.window } ?? true
        }
        for key in ended.keys { repetitions[key] = nil }
        return ended.values.filter { $0.count > Self.allowance }.map { repetition in
            var record = repetition.latest
            record.fields["suppressed"] = .stringConvertible(repetition.count - Self.allowance)
            return record
        }.sorted { $0.time < $1.time }
    }
}
