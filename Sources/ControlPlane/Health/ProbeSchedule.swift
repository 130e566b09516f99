// SPDX-License-Identifier: Apache-2.0

/// When a backend is probed, and how long one that fails may stay in the Maglev table.
extension HealthConfiguration {
    /// Time from the begin of a probe to that of the next one.
    ///
    /// While a healthy backend's last probe has failed it is half the interval, so that `fall`
    /// failures fit into as many intervals. Jitter only ever makes it shorter, for the same reason.
    ///
    /// - Parameters:
    ///   - isDoubtful: Whether the backend is healthy and its last probe failed.
    ///   - chance: At random, from 0 to 1.
    /// - Returns: The time.
    func pause(isDoubtful: Bool, chance: Double) -> Duration {
        (isDoubtful ? interval / 2 : interval) * (1 - Double(jitter) / 100 * chance)
    }

    /// The longest time from a backend's failing to the end of the probe that makes it unhealthy:
    /// it may fail right after a success, and every probe may take its whole timeout.
    var longestUntilUnhealthy: Duration {
        interval + max(interval / 2, timeout) * (fall - 1) + timeout
    }

    /// The longest timeout by which that is no more than `fall` intervals; `nil` for a `fall` of 1,
    /// where none is.
    var longestPromptTimeout: Duration? { fall > 1 ? interval * (fall - 1) / fall : nil }
}
