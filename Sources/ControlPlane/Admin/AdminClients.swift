// SPDX-License-Identifier: Apache-2.0
internal import NIOCore
internal import Synchronization

/// The connections of a listener: when there are too many, the one that has waited longest for its
/// request makes room.
///
/// So nobody is locked out by others that connect and say nothing. Shared by the connections' event
/// loops.
final class AdminClients: Sendable {
    /// How long a connection may be in what it does.
    struct Patience: Sendable {
        /// From the connection, or from the answer before, to the end of a request's head and body.
        var request = TimeAmount.seconds(10)
        /// Between two requests.
        var pause = TimeAmount.seconds(60)
        /// From an answer's first byte to its last, unless it goes on.
        var answer = TimeAmount.seconds(30)
        /// While there is something for the reader of an answer that goes on and it takes nothing.
        ///
        /// Long enough for somebody who reads a page of a capture.
        var reader = TimeAmount.minutes(5)
    }

    private struct Client {
        let id: ObjectIdentifier
        /// Ends it, on its own event loop.
        let evict: @Sendable () -> Void
    }

    /// How long its connections may be in what they do.
    let patience: Patience
    private let limit: Int
    /// Those without a request, the longest waiting first.
    private let waiting = Mutex<[Client]>([])
    private let count = Atomic<Int>(0)

    /// - Parameters:
    ///   - limit: Connections at once; one of them is kept free as long as one waits.
    ///   - patience: How long a connection may be in what it does.
    init(limit: Int, patience: Patience = Patience()) {
        self.limit = limit
        self.patience = patience
    }

    /// A connection was made.
    func connected(_ id: ObjectIdentifier, evict: @escaping @Sendable () -> Void) {
        let isFull = count.wrappingAdd(1, ordering: .relaxed).newValue >= limit
        let victim = waiting.withLock { waiting -> Client? in
            let victim = isFull && !waiting.isEmpty ? waiting.removeFirst() : nil
            waiting.append(Client(id: id, evict: evict))
            return victim
        }
        victim?.evict()
    }

    /// A connection waits for its next request.
    func waits(_ id: ObjectIdentifier, evict: @escaping @Sendable () -> Void) {
        waiting.withLock { $0.append(Client(id: id, evict: evict)) }
    }

    /// A connection's request has begun to be answered.
    func asks(_ id: ObjectIdentifier) { waiting.withLock { $0.removeAll { $0.id == id } } }

    /// A connection ended.
    func disconnected(_ id: ObjectIdentifier) {
        count.wrappingSubtract(1, ordering: .relaxed)
        asks(id)
    }
}
