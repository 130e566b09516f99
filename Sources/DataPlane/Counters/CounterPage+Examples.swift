// SPDX-License-Identifier: Apache-2.0
internal import Synchronization

/// The latest example of each drop reason, in the page behind the counters.
///
/// Eight words each: the first is odd while the worker writes the others and counts up after it,
/// so a reader that sees the same even number before and after has read one example.
extension CounterPage {
    /// Milliseconds between two examples of a reason: a flood is not to cost more than its drops.
    private static let exampleInterval: UInt32 = 250

    /// Whether the example that is there is old enough to be replaced.
    @inline(__always)
    func wantsExample(of reason: DropReason, at tick: Tick) -> Bool {
        let words = unsafe exampleWords(of: reason)
        let first = unsafe words[1].load(ordering: .relaxed)
        let latest = Tick(milliseconds: UInt32(truncatingIfNeeded: first >> 32))
        return unsafe words[0].load(ordering: .relaxed) == 0
            || tick.elapsed(since: latest) >= Self.exampleInterval
    }

    /// Keeps an example; to be called by the worker alone.
    func note(_ example: DropExample) {
        let words = unsafe exampleWords(of: example.reason)
        let number = unsafe words[0].load(ordering: .relaxed)
        unsafe words[0].store(number &+ 1, ordering: .relaxed)
        atomicMemoryFence(ordering: .releasing)
        let values = example.words
        unsafe words[1].store(values.0, ordering: .relaxed)
        unsafe words[2].store(values.1, ordering: .relaxed)
        unsafe words[3].store(values.2, ordering: .relaxed)
        unsafe words[4].store(values.3, ordering: .relaxed)
        unsafe words[5].store(values.4, ordering: .relaxed)
        unsafe words[6].store(values.5, ordering: .relaxed)
        unsafe words[7].store(values.6, ordering: .relaxed)
        unsafe words[0].store(number &+ 2, ordering: .releasing)
    }

    /// The latest example of a reason, from any thread; `nil` when there has been none, or when the
    /// worker writes one at every try.
    public func example(of reason: DropReason) -> DropExample? {
        let words = unsafe exampleWords(of: reason)
        for _ in 0..<64 {
            let before = unsafe words[0].load(ordering: .acquiring)
            if before == 0 { return nil }
            let values = unsafe (
                words[1].load(ordering: .relaxed), words[2].load(ordering: .relaxed),
                words[3].load(ordering: .relaxed), words[4].load(ordering: .relaxed),
                words[5].load(ordering: .relaxed), words[6].load(ordering: .relaxed),
                words[7].load(ordering: .relaxed)
            )
            atomicMemoryFence(ordering: .acquiring)
            let after = unsafe words[0].load(ordering: .relaxed)
            if before == after, before & 1 == 0 {
                return DropExample(reason: reason, words: values)
            }
        }
        return nil
    }
}
