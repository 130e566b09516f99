// SPDX-License-Identifier: Apache-2.0
internal import Dispatch
internal import Glibc
internal import Synchronization

/// Acts at the second SIGTERM or SIGINT: the first one stops in order, which waits for clients.
///
/// Counts beside the service group, which takes no notice of signals once it stops.
final class SecondSignal {
    private let sources: [any DispatchSourceSignal]

    /// Counts from now on, until it is let go.
    ///
    /// - Parameter act: Called once, on a thread of its own, so that nothing that hangs is in its
    ///   way.
    init(_ act: @escaping @Sendable () -> Void) {
        let queue = DispatchQueue(label: "xdplb.second-signal", qos: .userInitiated)
        let counter = Counter()
        sources = [SIGTERM, SIGINT].map { number in
            let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
            source.setEventHandler { if counter.isSecond() { act() } }
            source.activate()
            return source
        }
    }

    deinit { sources.forEach { $0.cancel() } }

    private final class Counter: Sendable {
        private let count = Atomic<Int>(0)

        func isSecond() -> Bool { count.add(1, ordering: .relaxed).newValue == 2 }
    }
}
