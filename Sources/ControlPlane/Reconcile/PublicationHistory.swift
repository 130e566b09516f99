// SPDX-License-Identifier: Apache-2.0
internal import DataPlane
internal import struct Foundation.Date

/// What became of services and backends over the generations, as far as they are still there.
struct PublicationHistory {
    /// How often a service's table was built, and how many slots moved.
    struct Tables {
        private(set) var rebuilds = 0
        private(set) var movedSlots = 0
        private(set) var buildTimes = DurationHistogram(ServiceView.buildTimeBounds)

        fileprivate mutating func add(
            _ service: SnapshotCompiler.CompiledService, since before: MaglevTable?
        ) {
            rebuilds += 1
            movedSlots += before?.movedSlots(to: service.maglev) ?? 0
            buildTimes.add(service.buildTime)
        }
    }

    private struct Eligibility {
        var isEligible: Bool
        var since: Date
    }

    private var tables: [UInt16: Tables] = [:]
    private var eligibility: [UInt16: Eligibility] = [:]

    /// Tables of a service, by its number.
    func tables(of service: UInt16) -> Tables { tables[service] ?? Tables() }

    /// Since when a backend, by its number, is eligible or is not; `nil` when it is unknown.
    func eligibilityChanged(of backend: UInt16) -> Date? { eligibility[backend]?.since }

    /// Notes a generation, and forgets services and backends that are not in it: their numbers are
    /// given to others.
    mutating func note(
        _ result: SnapshotCompiler.Result, since before: SnapshotCompiler.Result? = nil,
        at date: Date
    ) {
        let past = tables
        tables = [:]
        for service in result.services {
            let old = before?.services.first {
                $0.id == service.id && $0.configuration.name == service.configuration.name
            }
            var own = old.flatMap { past[$0.id] } ?? Tables()
            if old?.maglev !== service.maglev { own.add(service, since: old?.maglev) }
            tables[service.id] = own
        }
        noteEligibility(result.services.flatMap(\.backends), at: date)
    }

    private mutating func noteEligibility(
        _ backends: [SnapshotCompiler.CompiledBackend], at date: Date
    ) {
        let past = eligibility
        eligibility = [:]
        for backend in backends {
            let id = backend.identity.id
            let isEligible = backend.reason == nil
            let old = past[id].flatMap { $0.isEligible == isEligible ? $0 : nil }
            eligibility[id] = old ?? Eligibility(isEligible: isEligible, since: date)
        }
    }
}
