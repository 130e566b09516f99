// SPDX-License-Identifier: Apache-2.0

/// Which observations are to be delivered: what is new, and again what was refused.
struct ObservationDelivery {
    /// How long after a refusal the same state is delivered again.
    static let retryInterval = Duration.seconds(1)

    /// The latest state.
    private(set) var state: ObservedState
    private var retryAt: ContinuousClock.Instant?

    /// Begins with a state that is known already.
    init(_ state: ObservedState) { self.state = state }

    /// Whether what was refused is to be delivered again, though nothing has changed.
    func isRetryDue(at now: ContinuousClock.Instant) -> Bool { retryAt.map { now >= $0 } ?? false }

    /// Whether a state is to be delivered.
    func isDue(_ next: ObservedState, at now: ContinuousClock.Instant) -> Bool {
        next != state || isRetryDue(at: now)
    }

    /// Notes what became of a state that was delivered.
    mutating func note(_ next: ObservedState, isTaken: Bool, at now: ContinuousClock.Instant) {
        state = next
        retryAt = isTaken ? nil : now + Self.retryInterval
    }
}
