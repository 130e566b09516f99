// SPDX-License-Identifier: Apache-2.0
internal import CPlatform
internal import Glibc

/// Waits for sockets and for points in time, and calls what waits for them: one thread's loop.
final class ProbeLoop {
    /// What of a socket is waited for.
    enum Interest {
        case reading
        case writing
    }

    private typealias Timer = (at: ContinuousClock.Instant, number: UInt64, body: () -> Void)

    private let epoll: ProbeSocket
    private var watched: [Int32: () -> Void] = [:]
    /// A binary heap: the earliest first.
    private var timers: [Timer] = []
    private var timerCount: UInt64 = 0

    init?() {
        guard let epoll = ProbeSocket(cplatform_epoll()) else {
            return nil
        }
        self.epoll = epoll
    }

    // MARK: Sockets

    /// Calls `body` whenever a socket is ready.
    ///
    /// - Returns: 0 or an `errno` value.
    func watch(_ descriptor: Int32, for interest: Interest, _ body: @escaping () -> Void) -> Int32 {
        let isNew = watched.updateValue(body, forKey: descriptor) == nil
        return cplatform_epoll_watch(
            epoll.descriptor, descriptor, isNew ? 1 : 0, interest == .writing ? 1 : 0)
    }

    /// Has nothing called for a socket any more, which is to be closed.
    func forget(_ descriptor: Int32) {
        guard watched.removeValue(forKey: descriptor) != nil else { return }
        cplatform_epoll_forget(epoll.descriptor, descriptor)
    }

    // MARK: Time

    /// Calls `body` once, after a time.
    func after(_ duration: Duration, _ body: @escaping () -> Void) {
        timerCount += 1
        timers.append((.now + duration, timerCount, body))
        var child = timers.count - 1
        while child > 0, isEarlier(child, (child - 1) / 2) {
            timers.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    private func isEarlier(_ left: Int, _ right: Int) -> Bool {
        (timers[left].at, timers[left].number) < (timers[right].at, timers[right].number)
    }

    private func takeEarliest() -> Timer {
        timers.swapAt(0, timers.count - 1)
        let earliest = timers.removeLast()
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2]
            where child < timers.count && isEarlier(child, least) {
                least = child
            }
            if least == parent { return earliest }
            timers.swapAt(parent, least)
            parent = least
        }
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
            while let next = timers.first, next.at <= now { takeEarliest().body() }
        }
    }

    private var millisecondsToWait: Int32 {
        guard let next = timers.first else { return 1000 }
        let left = (next.at - .now).seconds * 1000
        return Int32(max(0, min(1000, left.rounded(.up))))
    }
}
