// SPDX-License-Identifier: Apache-2.0
public import DataPlane

/// One probe of each of some backends, at their addresses and through their tunnels: what health
/// checks do again and again, done once.
public enum BackendTrial {
    /// A backend to be probed.
    public struct Subject: Sendable {
        /// Its own address.
        public var address: IPAddress
        /// The port there; 0 for a kind that has none.
        public var port: UInt16
        /// How it is asked, and for how long.
        public var health: HealthConfiguration
        /// The way of its traffic; `nil` when that has no tunnel.
        public var tunnel: Tunnel?

        /// A backend of its parts.
        ///
        /// - Parameters:
        ///   - address: Its own address.
        ///   - port: The port there; 0 for a kind that has none.
        ///   - health: How it is asked, and for how long.
        ///   - tunnel: The way of its traffic; `nil` when that has no tunnel.
        public init(
            address: IPAddress, port: UInt16, health: HealthConfiguration, tunnel: Tunnel?
        ) {
            self.address = address
            self.port = port
            self.health = health
            self.tunnel = tunnel
        }
    }

    /// What came of a backend's probes.
    public struct Outcome: Equatable, Sendable {
        /// Of the one of its address.
        public var direct: ProbeOutcome
        /// Of the one through its tunnel; `nil` without one.
        public var tunnel: ProbeOutcome?
        /// Bytes of a packet that was lost in the tunnel while small ones passed; `nil` when none
        /// was, or when that cannot be told, as of a VIP that answers no echo requests.
        public var lostByteCount: Int?
    }

    /// Probes all of them; blocks the calling thread until it is known what came of each.
    ///
    /// A tunnel needs CAP_NET_RAW: without it the outcome through it is the error EPERM.
    ///
    /// - Parameter subjects: The backends.
    /// - Returns: What came of each, in their order.
    public static func run(_ subjects: [Subject]) -> [Outcome] {
        do throws(SocketError) {
            let round = TrialRound(subjects, ProbeKit(try ProbeLoop()))
            return round.run()
        } catch {
            let outcome = ProbeOutcome(error)
            return subjects.map { Outcome(direct: outcome, tunnel: $0.tunnel.map { _ in outcome }) }
        }
    }
}

/// The probes of one trial.
private final class TrialRound {
    /// Backends that are probed at once: each takes a few descriptors.
    private static let parallel = 128
    /// Pairs of echo requests of full size: one lost packet is no black hole.
    private static let pairs: ClosedRange<UInt16> = 1...2
    /// Largest packet that is tried, as clients send them.
    ///
    /// A larger one would come back to here, which no traffic does, by ways that need not carry it.
    private static let ordinary = 1500

    private let subjects: [BackendTrial.Subject]
    private let kit: ProbeKit
    private let firstIdentifier = UInt16.random(in: .min ... .max)
    private var outcomes: [BackendTrial.Outcome]
    private var begun = 0
    private var ended = 0
    /// Probes of each backend that have not ended.
    private var left: [Int: Int] = [:]
    private var attempts: [Int: [ProbeAttempt]] = [:]
    /// Whether one of full size has got through, of those where that can be told.
    private var hasCarried: [Int: Bool] = [:]
    private var ports: [Int: ReservedPort] = [:]

    init(_ subjects: [BackendTrial.Subject], _ kit: ProbeKit) {
        self.subjects = subjects
        self.kit = kit
        let nothing = BackendTrial.Outcome(direct: ProbeOutcome(result: .timeout, took: .zero))
        outcomes = Array(repeating: nothing, count: subjects.count)
    }

    func run() -> [BackendTrial.Outcome] {
        var refusal: SocketError?
        do throws(SocketError) {
            try kit.sockets.listen(to: Set(subjects.compactMap(\.tunnel?.vip)))
        } catch { refusal = error }
        kit.loop.run {
            while begun < subjects.count, begun - ended < Self.parallel { beginNext(refusal) }
            return ended == subjects.count
        }
        return outcomes
    }

    private func beginNext(_ refusal: SocketError?) {
        let index = begun
        begun += 1
        let subject = subjects[index]
        let echo = Echo(identifier: firstIdentifier &+ UInt16(truncatingIfNeeded: index), number: 0)
        // Held until all have begun: one may end while it begins.
        left[index] = 1
        start(index) { finish in
            kit.direct(
                subject.health, to: subject.address, port: subject.port, echo: echo
            ) { [unowned self] outcome in
                outcomes[index].direct = outcome
                finish()
            }
        }
        if let tunnel = subject.tunnel {
            do throws(SocketError) {
                if let refusal { throw refusal }
                try beginTunnel(index, subject.health, tunnel, echo)
            } catch { outcomes[index].tunnel = ProbeOutcome(error) }
        }
        end(index)
    }

    private func beginTunnel(
        _ index: Int, _ health: HealthConfiguration, _ tunnel: Tunnel, _ echo: Echo
    ) throws(SocketError) {
        if let transport = ReservedPort.Transport(of: health.kind) {
            ports[index] = try ReservedPort(tunnel.source, transport)
        }
        start(index) { finish in
            kit.tunnelled(health, tunnel, from: ports[index], echo: echo) {
                [unowned self] outcome in
                outcomes[index].tunnel = outcome
                finish()
            }
        }
        let byteCount = min(tunnel.largestPacket, Self.ordinary)
        for number in Self.pairs {
            left[index, default: 0] += 1
            let pair = kit.fullSize(
                tunnel, byteCount, identifier: echo.identifier, number: number,
                timeout: health.timeout
            ) { [unowned self] carried in
                if let carried { hasCarried[index] = carried || hasCarried[index] ?? false }
                outcomes[index].lostByteCount = hasCarried[index] == false ? byteCount : nil
                end(index)
            }
            attempts[index, default: []] += pair
            pair.forEach { $0.start() }
        }
    }

    /// Starts a probe that says when it has ended.
    private func start(_ index: Int, _ make: (@escaping () -> Void) -> ProbeAttempt) {
        left[index, default: 0] += 1
        let attempt = make { [unowned self] in end(index) }
        attempts[index, default: []].append(attempt)
        attempt.start()
    }

    private func end(_ index: Int) {
        left[index, default: 0] -= 1
        guard left[index] == 0 else { return }
        (left[index], attempts[index], ports[index]) = (nil, nil, nil)
        ended += 1
    }
}

extension ProbeOutcome {
    /// That of a probe that could not begin.
    fileprivate init(_ error: SocketError) {
        let outcome = error.outcome
        self.init(result: outcome.result, took: .zero, detail: outcome.detail)
        self.error = error.number
    }
}
