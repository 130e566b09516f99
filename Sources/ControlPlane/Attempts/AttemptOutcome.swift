// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// What came of one probe.
public enum AttemptOutcome: Equatable, Sendable {
    /// The backend answered, this long after it was asked.
    case answered(in: Duration)
    /// The backend answered that nothing listens there.
    case refused
    /// Nobody answered in time.
    case timeout
    /// The probe could not be sent, or an ICMP error came back: an errno value.
    case error(Int32)

    /// Whether the backend answered as it should.
    public var isAnswer: Bool { if case .answered = self { true } else { false } }
}

/// A socket of a probe, closed with it.
struct AttemptSocket: ~Copyable {
    let descriptor: Int32

    /// Takes over a socket just made.
    ///
    /// - Parameter made: What the call that makes it returned: −1 with errno when it failed.
    /// - Throws: The errno.
    init(_ made: Int32) throws(AttemptErrno) {
        guard made >= 0 else { throw AttemptErrno(value: errno) }
        descriptor = made
    }

    deinit { close(descriptor) }

    /// The error that is pending on it; 0 for none.
    var pendingError: Int32 {
        var value: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        let result = unsafe getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &value, &length)
        return result == 0 ? value : errno
    }
}

/// An errno value as an error of Swift's.
struct AttemptErrno: Error {
    let value: Int32
}

/// Until when something is waited for.
struct AttemptDeadline {
    let end: ContinuousClock.Instant

    /// So long from now.
    init(after timeout: Duration) { end = .now + timeout }

    var isOver: Bool { .now >= end }

    /// What is left until it or an earlier moment, in milliseconds, rounded up; for poll(2).
    func milliseconds(or earlier: ContinuousClock.Instant? = nil) -> Int32 {
        let left = (min(end, earlier ?? end) - .now).components
        let milliseconds = left.seconds * 1000 + left.attoseconds / 1_000_000_000_000_000 + 1
        return Int32(clamping: max(0, milliseconds))
    }
}
