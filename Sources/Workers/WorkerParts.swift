// SPDX-License-Identifier: Apache-2.0
internal import DataPlane
internal import XSKRing

/// What a worker is made from.
struct WorkerParts: ~Copyable, @unchecked Sendable {
    var queue: XSKQueue
    var pipeline: Pipeline
    let counters: CounterPage
    let mailbox: WorkerMailbox
    let memory: FrameMemory
    let options: WorkerOptions
    let peers: WorkerPeers

    init(
        queue: consuming XSKQueue, pipeline: consuming Pipeline, counters: CounterPage,
        mailbox: WorkerMailbox, memory: FrameMemory, options: WorkerOptions, peers: WorkerPeers
    ) {
        self.counters = counters
        self.mailbox = mailbox
        self.memory = memory
        self.options = options
        self.peers = peers
        self.pipeline = pipeline
        self.queue = queue
    }
}
