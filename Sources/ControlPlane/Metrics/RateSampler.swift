// SPDX-License-Identifier: Apache-2.0
public import DataPlane
internal import struct Foundation.Date
internal import Synchronization

/// Sums of counters over all workers.
public struct CounterSums: Sendable {
    let pages: [CounterPage]

    /// Sums over the given pages.
    public init(_ pages: [CounterPage]) { self.pages = pages }

    /// A counter of all workers.
    public subscript(counter: Counter) -> UInt64 { pages.reduce(0) { $0 &+ $1[counter] } }

    /// Frames dropped for a reason by all workers.
    public subscript(reason: DropReason) -> UInt64 { pages.reduce(0) { $0 &+ $1[reason] } }

    /// A counter of a service of all workers.
    public subscript(service id: UInt16, counter: ServiceCounter) -> UInt64 {
        pages.reduce(0) { $0 &+ $1[service: id, counter] }
    }

    /// A counter of a backend of all workers.
    public subscript(backend id: UInt16, counter: BackendCounter) -> UInt64 {
        pages.reduce(0) { $0 &+ $1[backend: id, counter] }
    }
}

/// Rates over the latest whole second or so, from counters that only grow.
public final class RateSampler: Sendable {
    /// What a rate is of.
    enum Key: Hashable, Sendable {
        case service(UInt16, ServiceCounter)
        case backend(UInt16, BackendCounter)
        case drop(DropReason)
        case kernel(KernelLoss)
        case worker(Int, Counter)
        case ringLosses
    }

    private struct State {
        var latest: [Key: UInt64] = [:]
        var taken: ContinuousClock.Instant?
        var rates: [Key: Double] = [:]
        /// When a counter was last seen to have grown.
        var growth: [Key: Date] = [:]
    }

    private let state = Mutex(State())

    /// A sampler without samples: all rates are 0.
    public init() {}

    /// Takes a sample; rates are those since the one before.
    ///
    /// A counter that fell was begun anew for somebody else, and has no rate yet.
    func sample(_ values: [Key: UInt64], at now: ContinuousClock.Instant = .now) {
        state.withLock { state in
            let seconds = state.taken.map { (now - $0).seconds } ?? 1
            guard seconds > 0.05 else { return }
            state.rates = values.reduce(into: [:]) { rates, value in
                guard let before = state.latest[value.key], value.value >= before else { return }
                rates[value.key] = Double(value.value - before) / seconds
            }
            let date = Date()
            for (key, value) in values where value > state.latest[key] ?? value {
                state.growth[key] = date
            }
            state.latest = values
            state.taken = now
        }
    }

    /// When a counter grew last, to within the time between two samples; `nil` when it was not
    /// seen to.
    ///
    /// - Parameters:
    ///   - key: The counter.
    ///   - value: What it is now, which may be more than at the latest sample.
    /// - Returns: When.
    func lastGrowth(_ key: Key, now value: UInt64) -> Date? {
        state.withLock { state in
            if let latest = state.latest[key], value > latest { return Date() }
            return state.growth[key]
        }
    }

    /// The rate per second; 0 before the second sample.
    func rate(_ key: Key) -> Double { state.withLock { $0.rates[key] ?? 0 } }
}

extension RateSampler {
    /// Takes a sample of everything that rates are shown of.
    public func sample(
        _ view: ControlView, _ pages: [CounterPage], _ kernel: KernelCounters = .init(),
        at now: ContinuousClock.Instant = .now
    ) {
        let sums = CounterSums(pages)
        var values: [Key: UInt64] = [:]
        for service in view.services {
            for counter in [
                ServiceCounter.packetsIn, .packetsOut, .bytesIn, .bytesOut, .newConnections,
            ] {
                values[.service(service.id, counter)] = sums[service: service.id, counter]
            }
            for backend in service.backends {
                values[.backend(backend.id, .packets)] = sums[backend: backend.id, .packets]
            }
        }
        for reason in DropReason.allCases { values[.drop(reason)] = sums[reason] }
        for loss in KernelLoss.allCases { values[.kernel(loss)] = loss.count(in: kernel) }
        for (index, page) in pages.enumerated() {
            for counter in [
                Counter.busyNanoseconds, .idleNanoseconds, .blockedNanoseconds, .rounds,
                .receivedPackets, .batches, .transmitWakeups, .transmittedPackets,
            ] {
                values[.worker(index, counter)] = page[counter]
            }
        }
        values[.ringLosses] = kernel.ringLosses
        sample(values, at: now)
    }
}
