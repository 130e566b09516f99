// SPDX-License-Identifier: Apache-2.0
internal import DataPlane

/// How it goes, in one line: `3 services, 1 degraded, 4.8 Mpps`.
struct StatusLine {
    private var received: (count: UInt64, at: ContinuousClock.Instant)?

    /// The line of this moment; its rate is the mean since the line before.
    mutating func text(
        _ services: [ServiceView], received count: UInt64, at now: ContinuousClock.Instant
    ) -> String {
        let before = received ?? (count, now)
        received = (count, now)
        let seconds = (now - before.at).seconds
        let rate = seconds > 0 && count >= before.count ? Double(count - before.count) / seconds : 0
        let down = services.count { !$0.isUp }
        let degraded = services.count { $0.isUp && $0.isDegraded }
        var parts = ["\(services.count) service\(services.count == 1 ? "" : "s")"]
        if down > 0 { parts.append("\(down) down") }
        if degraded > 0 { parts.append("\(degraded) degraded") }
        parts.append(Self.packets(rate))
        return parts.joined(separator: ", ")
    }

    /// `812 pps`, `4.8 kpps`, `4.8 Mpps`.
    static func packets(_ rate: Double) -> String {
        for (unit, factor) in [("Mpps", 1e6), ("kpps", 1e3)] where rate >= factor * 0.99995 {
            let tenths = Int((rate / factor * 10).rounded())
            return "\(tenths / 10).\(tenths % 10) \(unit)"
        }
        return "\(Int(rate.rounded())) pps"
    }
}

extension ServiceView {
    /// Whether a backend that it was given does not get new connections.
    fileprivate var isDegraded: Bool { eligibleCount < backends.count { !$0.isRemoved } }
}
