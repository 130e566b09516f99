// SPDX-License-Identifier: Apache-2.0
internal import CPlatform
internal import Glibc

/// Waits for sockets and for points in time, and calls what waits for them: one thread's loop.
final class ProbeLoop {
    /// What of a socket is waited for; an error always is as well.
    enum Interest {
        case reading
        case writing
    }

    private let epoll: ProbeSocket
    private var watched: [Int32: () -> Void] = [:]
    private var timers = ProbeTimers<() -> Void>()

    init() throws(SocketError) { epoll = try ProbeSocket(cplatform_epoll()) }

    // MARK: Sockets

    /// Calls `body` whenever a socket is ready.
    func watch(
        _ descriptor: Int32, for interest: Interest, _ body: @escaping () -> Void
    ) throws(SocketError) {
        let isNew = watched.updateValue(body, forKey: descriptor) == nil
        let error = cplatform_epoll_watch(
            epoll.descriptor, descriptor, isNew ? 1 : 0, interest == .writing ? 1 : 0)
        guard error == 0 else { throw SocketError(error) }
    }

    /// Has nothing called for a socket any more, which is to be closed.
    func forget(_ descriptor: Int32) {
        guard watched.removeValue(forKey: descriptor) != nil else { return }
        cplatform_epoll_forget(epoll.descriptor, descriptor)
    }

    // MARK: Time

    /// Calls `body` once, after a time.
    func after(_ duration: Duration, _ body: @escaping () -> Void) {
        timers.add(at: .now + duration, body)
    }

    // MARK: Running

    /// Runs until `isOver` says so, which is asked after every event.
    func run(until isOver: () -> Bool) {
        var ready = [Int32](repeating: 0, count: 256)
        while !isOver() {
            let count = unsafe cplatform_epoll_wait(
                epoll.descriptor, &ready, Int32(ready.count), millisecondsToWait)
            for descriptor in ready.prefix(Int(count)) { watched[descriptor]?() }
            let now = ContinuousClock.now
            while let body = timers.takeDue(by: now) { body() }
        }
    }

    private var millisecondsToWait: Int32 {
        guard let next = timers.next else { return 1000 }
        let left = (next - .now).seconds * 1000
        return Int32(max(0, min(1000, left.rounded(.up))))
    }
}
