// SPDX-License-Identifier: Apache-2.0
import Foundation
import Synchronization

/// Writes events one after the other, and few of those that repeat.
///
/// Any thread may write.
final class LogWriter: Sendable {
    private struct State {
        var limiter = RepetitionLimiter()
        /// Whether somebody waits for the end of what is held back.
        var isWaiting = false
    }

    private let output: any LogOutput
    private let state = Mutex(State())

    /// A writer to `output`.
    init(_ output: any LogOutput) { self.output = output }

    /// Writes an event, unless it says what others have just said.
    func write(_ record: LogRecord) {
        let wait = state.withLock { state -> ContinuousClock.Instant? in
            let now = ContinuousClock.now
            sumUp(state.limiter.end(at: now))
            if state.limiter.admits(record, at: now) { output.write(record) }
            guard !state.isWaiting, let end = state.limiter.nextEnd else { return nil }
            state.isWaiting = true
            return end
        }
        if let wait { endLater(at: wait) }
    }

    /// Says what was held back so far.
    func finish() {
        state.withLock { sumUp($0.limiter.end(at: nil)) }
    }

    /// What ended was the latest of many; that it did is news of now.
    private func sumUp(_ records: [LogRecord]) {
        for var record in records {
            record.time = Date()
            output.write(record)
        }
    }

    /// Without it, what is held back would wait for an event that may never come.
    private func endLater(at time: ContinuousClock.Instant) {
        Task {
            try? await Task.sleep(until: time, clock: .continuous)
            let next = state.withLock { state -> ContinuousClock.Instant? in
                sumUp(state.limiter.end(at: .now))
                state.isWaiting = state.limiter.nextEnd != nil
                return state.limiter.nextEnd
            }
            if let next { endLater(at: next) }
        }
    }
}
