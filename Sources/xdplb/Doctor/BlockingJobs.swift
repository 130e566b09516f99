// SPDX-License-Identifier: Apache-2.0
internal import Foundation

/// Jobs that block, done on threads of their own, some at a time.
///
/// The condition guards all that changes.
final class BlockingJobs<Result: Sendable>: @unchecked Sendable {
    private let jobs: [@Sendable () -> Result]
    private let condition = NSCondition()
    private var started = 0
    private var results: [Int: Result] = [:]

    /// Jobs to be done.
    init(_ jobs: [@Sendable () -> Result]) { self.jobs = jobs }

    /// Does all of them.
    ///
    /// - Parameter parallel: Most at a time.
    /// - Returns: What they returned, in their order.
    func run(parallel: Int) -> [Result] {
        for _ in 0..<min(parallel, jobs.count) { Thread { self.work() }.start() }
        condition.lock()
        defer { condition.unlock() }
        while results.count < jobs.count { condition.wait() }
        return jobs.indices.compactMap { results[$0] }
    }

    private func work() {
        condition.lock()
        while started < jobs.count {
            let index = started
            started += 1
            condition.unlock()
            let result = jobs[index]()
            condition.lock()
            results[index] = result
            condition.broadcast()
        }
        condition.unlock()
    }
}
