// SPDX-License-Identifier: Apache-2.0
internal import Foundation
internal import Synchronization

/// Sees to it that one capture runs at a time, and tells who takes it.
final class CaptureDesk: Sendable {
    private let events: EventLog
    private let state = Mutex(State())

    private struct State {
        var number: UInt64 = 0
        var current: Ticket?
    }

    /// Who captures what, and whether somebody has ended it.
    struct Ticket: Sendable {
        var number: UInt64
        var user: String
        var since: Date
        var what: String
        var seconds: Double
        /// When its time is over, whatever becomes of the clock that `since` is of.
        var end: ContinuousClock.Instant
        var isEnded = false

        /// Whole seconds until then.
        var secondsLeft: Int {
            let left = (end - ContinuousClock.now).components
            return max(0, Int(left.seconds) + (left.attoseconds > 0 ? 1 : 0))
        }
    }

    /// A desk that tells of its captures.
    init(events: EventLog) { self.events = events }

    /// Takes the place of the one capture; it is free again when what is returned is let go.
    ///
    /// - Throws: ``ChangeRefused`` that says who has it.
    func take(_ request: CaptureRequest, for seconds: Double, by user: String)
        throws(ChangeRefused) -> CapturePlace
    {
        let result = state.withLock { state -> Result<Ticket, ChangeRefused> in
            if let other = state.current { return .failure(Self.busy(other)) }
            state.number += 1
            let ticket = Ticket(
                number: state.number, user: user, since: Date(), what: request.summary,
                seconds: seconds, end: .now + .seconds(seconds))
            state.current = ticket
            return .success(ticket)
        }
        return CapturePlace(self, try result.get())
    }

    private static func busy(_ other: Ticket) -> ChangeRefused {
        ChangeRefused(
            kind: .conflict, code: "capture_running",
            message: """
                a capture by \(other.user) is running since \(AdminJSON.text(other.since)) \
                (\(other.what)) and ends within \(other.secondsLeft) s; only one can run at a \
                time. Wait, or stop it with 'xdplb capture --stop'
                """)
    }

    /// Whether a capture runs.
    var isTaken: Bool { state.withLock { $0.current != nil } }

    /// Ends the capture that runs, or only the one of a number; says whether there was one.
    func end(_ number: UInt64?) -> Bool {
        state.withLock { state in
            guard let current = state.current, number ?? current.number == current.number else {
                return false
            }
            state.current?.isEnded = true
            return true
        }
    }

    fileprivate func isEnded(_ number: UInt64) -> Bool {
        state.withLock { $0.current?.number != number || $0.current?.isEnded == true }
    }

    fileprivate func leave(_ number: UInt64) {
        state.withLock { if $0.current?.number == number { $0.current = nil } }
    }

    fileprivate func note(_ event: EventKind, _ fields: KeyValuePairs<String, String>) {
        events.record(event, .notice, fields)
    }
}

/// The place of the one capture that may run, until it is let go.
final class CapturePlace: Sendable {
    private let desk: CaptureDesk
    private let ticket: CaptureDesk.Ticket

    fileprivate init(_ desk: CaptureDesk, _ ticket: CaptureDesk.Ticket) {
        self.desk = desk
        self.ticket = ticket
    }

    deinit { desk.leave(ticket.number) }

    /// Number of the capture since the daemon's start.
    var number: UInt64 { ticket.number }

    /// What is captured, in a few words.
    var what: String { ticket.what }

    /// Whether somebody has ended it.
    var isEnded: Bool { desk.isEnded(ticket.number) }

    /// Tells the log that it begins.
    func noteStart() {
        desk.note(
            .captureStarted,
            [
                "by": ticket.user, "filter": ticket.what,
                "seconds": "\(Int(ticket.seconds.rounded(.up)))",
            ])
    }

    /// Tells the log that it has ended, and makes room for the next.
    func noteEnd(_ statistics: PcapngWriter.Statistics, frames: Int, because cause: String) {
        desk.note(
            .captureEnded,
            [
                "by": ticket.user, "frames": "\(frames)", "lost": "\(statistics.lost)",
                "because": cause,
            ])
        desk.leave(ticket.number)
    }
}
