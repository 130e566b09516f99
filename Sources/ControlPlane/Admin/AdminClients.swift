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
    enum Patience {
        /// From the connection, or from the answer before, to the end of a request's head and body.
        static let request = TimeAmount.seconds(10)
        /// Between two requests.
        static let pause = TimeAmount.seconds(60)
        /// From an answer's first byte to its last; an answer that streams is left alone.
        static let answer = TimeAmount.seconds(30)
    }

    private struct Client {
        let id: ObjectIdentifier
        /// Ends it, on its own event loop.
        let evict: @Sendable () -> Void
    }

    private let limit: Int
    /// Those without a request, the longest waiting first.
    private let waiting = Mutex<[Client]>([])
    private let count = Atomic<Int>(0)

    /// - Parameter limit: Connections at once; one of them is kept free as long as one waits.
    init(limit: Int) { self.limit = limit }

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
