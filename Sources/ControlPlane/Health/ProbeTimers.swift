// SPDX-License-Identifier: Apache-2.0

/// What is to be done when, as a binary heap with the earliest first; of equal times, what was
/// added first.
struct ProbeTimers<Body> {
    private typealias Timer = (at: ContinuousClock.Instant, number: UInt64, body: Body)

    private var heap: [Timer] = []
    private var count: UInt64 = 0

    /// The earliest time; `nil` when nothing is to be done.
    var next: ContinuousClock.Instant? { heap.first?.at }

    mutating func add(at instant: ContinuousClock.Instant, _ body: Body) {
        count += 1
        heap.append((instant, count, body))
        var child = heap.count - 1
        while child > 0, isEarlier(child, (child - 1) / 2) {
            heap.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    /// Takes the earliest of what is to be done by now; `nil` when nothing is.
    mutating func takeDue(by now: ContinuousClock.Instant) -> Body? {
        guard let next, next <= now else { return nil }
        heap.swapAt(0, heap.count - 1)
        let earliest = heap.removeLast()
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2]
            where child < heap.count && isEarlier(child, least) {
                least = child
            }
            if least == parent { return earliest.body }
            heap.swapAt(parent, least)
            parent = least
        }
    }

    private func isEarlier(_ left: Int, _ right: Int) -> Bool {
        (heap[left].at, heap[left].number) < (heap[right].at, heap[right].number)
    }
}
