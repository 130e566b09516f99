// SPDX-License-Identifier: Apache-2.0
public import struct Foundation.Date
internal import Glibc

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
public struct ProbeOutcome: Equatable, Sendable {
    /// How it ended.
    public var result: ProbeResult
    /// From sending to the end.
    public var took: Duration
    /// What was found, such as `status 503`; empty when the result says all.
    public var detail: String
    /// The `errno` value that ended it; `nil` when none did.
    public var error: Int32?
    /// What ICMP said of its packets while nothing else came, an `errno` value; it may be forged.
    public var rejection: Int32?

    /// An end of its parts.
    ///
    /// - Parameters:
    ///   - result: How it ended.
    ///   - took: From sending to the end.
    ///   - detail: What was found, when the result does not say all.
    public init(result: ProbeResult, took: Duration, detail: String = "") {
        self.result = result
        self.took = took
        self.detail = detail
    }

    /// What ICMP said when it was that the backend takes no tunnels: that of IPv4 speaks of the
    /// protocol (RFC 792), that of IPv6 of a header that it does not know (RFC 4443 §3.4).
    public var refusedTunnel: String? {
        switch rejection {
        case ENOPROTOOPT: "ICMP protocol unreachable"
        case EPROTO: "ICMP unknown next header"
        default: nil
        }
    }
}

/// What is known of a backend's health.
public struct HealthState: Equatable, Sendable {
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
    /// How long probes took.
    public private(set) var durations = DurationHistogram([0.001, 0.01, 0.1, 1])

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
        durations.add(outcome.took)
        let before = health
        if outcome.result == .success {
            successes += 1
            failures = 0
            let tenths = (outcome.took.seconds * 10_000).rounded() / 10
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
