// SPDX-License-Identifier: Apache-2.0
public import struct Foundation.Date

/// What probes found of a backend.
public enum BackendHealth: String, Sendable, CaseIterable {
    /// Not probed, or not answered yet.
    case unknown
    /// It answers as it should.
    case healthy
    /// It does not.
    case unhealthy
}

/// How a probe ended.
public enum ProbeResult: String, Sendable, CaseIterable {
    /// As it should.
    case success
    /// Nothing came in time.
    case timeout
    /// The backend's host answered that nobody listens.
    case refused
    /// Something else came than was expected.
    case badReply = "bad_reply"
    /// The probe could not be sent.
    case error
}

/// The end of one probe.
struct ProbeOutcome: Equatable, Sendable {
    var result: ProbeResult
    /// From sending to the end.
    var took: Duration
    /// What was found, such as `status 503`; empty when the result says all.
    var detail = ""
}

/// What is known of a backend's health.
public struct HealthState: Equatable, Sendable {
    /// Upper bounds of ``durations``, in seconds.
    public static let bounds = [0.001, 0.01, 0.1, 1.0]

    /// What follows from the probes so far.
    public private(set) var health = BackendHealth.unknown
    /// Why it is unhealthy; `nil` while it is not.
    public private(set) var reason: String?
    /// The last probe in a few words: `tcp 0.4 ms`, `timeout 3/3`.
    public private(set) var probe = ""
    /// When ``health`` became what it is.
    public private(set) var since: Date
    /// Probes by result.
    public private(set) var counts: [ProbeResult: UInt64] = [:]
    /// Probes that took no longer than each of ``bounds``, and none of those before.
    public private(set) var durations = [UInt64](repeating: 0, count: bounds.count)
    /// Time of all probes, in seconds.
    public private(set) var totalSeconds = 0.0

    private var successes = 0
    private var failures = 0

    init(at date: Date, health: BackendHealth = .unknown) {
        since = date
        self.health = health
    }

    /// Failures in a row up to now.
    var consecutiveFailures: Int { failures }

    /// All probes.
    public var count: UInt64 { counts.values.reduce(0, +) }

    /// Takes a probe's end into account.
    ///
    /// The first success makes an unknown backend healthy, as nothing speaks against it. Otherwise
    /// `rise` successes or `fall` failures in a row change the state.
    ///
    /// - Parameters:
    ///   - outcome: How it ended.
    ///   - configuration: What was asked for.
    ///   - diagnosis: What a failure is due to, as far as it can be told.
    ///   - date: Now.
    /// - Returns: Whether ``health`` changed.
    mutating func note(
        _ outcome: ProbeOutcome, _ configuration: HealthConfiguration, diagnosis: String? = nil,
        at date: Date
    ) -> Bool {
        counts[outcome.result, default: 0] += 1
        let seconds = outcome.took.seconds
        totalSeconds += seconds
        if let bucket = Self.bounds.firstIndex(where: { seconds <= $0 }) { durations[bucket] += 1 }
        let before = health
        if outcome.result == .success {
            successes += 1
            failures = 0
            let tenths = (seconds * 10_000).rounded() / 10
            probe = "\(configuration.kind.rawValue) \(tenths) ms"
            if health == .unknown || successes >= configuration.rise {
                health = .healthy
                reason = nil
            }
        } else {
            failures += 1
            successes = 0
            let what = outcome.detail.isEmpty ? outcome.result.rawValue : outcome.detail
            probe = "\(what) \(min(failures, configuration.fall))/\(configuration.fall)"
            if failures >= configuration.fall {
                health = .unhealthy
                reason = diagnosis.map { "\(what): \($0)" } ?? what
            }
        }
        if health != before { since = date }
        return health != before
    }
}
