// SPDX-License-Identifier: Apache-2.0
internal import CXDP
internal import DataPlane
internal import Glibc
internal import XSKRing

/// The loop of one queue: moves frames between its rings and the pipeline, and decides nothing.
///
/// Owned by its thread. Nothing in it is shared but the slot, the mailbox, the doorbell, the
/// hand-off rings and the counters.
struct Worker: ~Copyable {
    private var queue: XSKQueue
    private var pipeline: Pipeline
    private var snapshots: SnapshotReader
    private var batch = Batch()
    private var clock = MonotonicClock()
    private let counters: CounterPage
    private let mailbox: WorkerMailbox
    private let peers: WorkerPeers
    private let memory: FrameMemory
    private let options: WorkerOptions

    /// The walk that is being carried out, and where it stands.
    private var scan: ConnectionScan?
    private var scanCursor: UInt32 = 0
    /// Which packets are timed.
    private var timer = PacketTimer()
    private var tap = WorkerTap()
    /// When the latest frame came, in nanoseconds.
    private var latestFrame: UInt64 = 0
    private var transmitWakeups: UInt64 = 0
    private var fillWakeups: UInt64 = 0

    init(_ parts: consuming WorkerParts, snapshots: consuming SnapshotReader) {
        counters = parts.counters
        mailbox = parts.mailbox
        peers = parts.peers
        memory = parts.memory
        options = parts.options
        queue = parts.queue
        pipeline = parts.pipeline
        self.snapshots = snapshots
    }

    /// Runs rounds until the mailbox says to stop.
    mutating func run() {
        acknowledge()
        latestFrame = clock.nanoseconds
        while !mailbox.isStopped {
            runOnce()
        }
        finishScans()
        mailbox.leaveCapture()
    }

    /// One round: adopt, receive, decide, carry out, reclaim, refill.
    @inline(__always)
    private mutating func runOnce() {
        if snapshots.refresh() { acknowledge() }
        let received = unsafe queue.receive(into: receiveWindow)
        let count = takeHandedOff(after: received)
        batch.begin(count: count, handedOver: count - received)
        var isCaptured = false
        if tap.isConcerned(by: mailbox) { isCaptured = tap.begin(batch, in: memory, mailbox) }
        if count > 0 {
            countReceived(received)
            pipeline.process(&batch, with: snapshots.current, at: clock.tick)
        }
        pipeline.maintain(&batch, with: snapshots.current, at: clock.tick)
        let lostHandOffs = handOff()
        let sent = transmit()
        discard()
        if isCaptured {
            tap.write(
                batch, in: memory, sent: sent, lostHandOffs: lostHandOffs,
                receivedAt: clock.nanoseconds)
        }
        queue.reclaim()
        queue.refill()
        if mailbox.mayHaveRequests || scan != nil { serveRequests() }
        account(handled: count)
        if count == 0 { rest() }
    }

    /// Tells readers which generation is in use from here on.
    private func acknowledge() { counters.set(.generation, to: snapshots.current.generation) }

    /// Where the next frames are received: as many as the batch may have.
    private var receiveWindow: UnsafeMutableBufferPointer<xdp_desc> {
        unsafe UnsafeMutableBufferPointer(rebasing: batch.receiveBuffer[..<options.batch])
    }

    // MARK: Hand-off

    /// Adds frames that other workers received for this one, as far as there is room.
    ///
    /// - Returns: Frames in the batch.
    @inline(__always)
    private mutating func takeHandedOff(after received: Int) -> Int {
        guard peers.count > 1 else { return received }
        var count = received
        for peer in 0..<peers.count where peer != peers.own {
            let ring = peers.ring(from: peer, to: peers.own)
            while count < options.batch, !ring.isEmpty {
                guard let chunk = queue.takeFreeChunk() else { return count }
                let address = chunk + UInt64(Self.headroom)
                guard let room = unsafe memory.chunkBytes(from: address),
                    let length = unsafe ring.dequeue(into: room), length > 0
                else {
                    queue.recycle(address: chunk)
                    break
                }
                unsafe batch.receiveBuffer[count] = xdp_desc(
                    addr: address, len: UInt32(length), options: 0)
                count += 1
            }
        }
        return count
    }

    /// Room for an outer header in front of a frame that was copied in, as the kernel leaves it.
    private static var headroom: Int { 256 }

    /// Gives frames to the workers that own their connections.
    ///
    /// - Returns: By a bit each, those that were lost.
    @inline(__always)
    private mutating func handOff() -> UInt64 {
        guard batch.handOffCount > 0 else { return 0 }
        var rung: UInt64 = 0
        var lost: UInt64 = 0
        for index in 0..<batch.count {
            guard case .handOff(let owner) = batch.verdict(at: index) else { continue }
            let frame = batch.descriptor(at: index)
            let bytes = unsafe memory.chunkBytes(from: frame.addr).map {
                unsafe UnsafeRawBufferPointer(rebasing: $0[..<Int(frame.len)])
            }
            let ring = peers.ring(from: peers.own, to: Int(owner))
            if let bytes = unsafe bytes, unsafe ring.enqueue(bytes) {
                counters.add(1, to: .handedOff)
                rung |= 1 << UInt64(owner & 63)
            } else {
                counters.add(1, to: .handOffFull)
                counters.add(DropReason.txFull)
                batch.noteDrop(index, for: .txFull, in: counters, at: clock.tick)
                lost |= 1 << UInt64(index)
            }
            queue.recycle(address: frame.addr)
        }
        for peer in 0..<peers.count where rung & 1 << UInt64(peer & 63) != 0 {
            peers.doorbell(of: peer).ring()
        }
        return lost
    }

    // MARK: Carry out

    /// Sends what is to be sent.
    ///
    /// - Returns: How many of the frames the TX ring took: the first ones.
    @inline(__always)
    private mutating func transmit() -> Int {
        let frames = unsafe batch.transmits
        guard frames.count > 0 else { return 0 }
        var sent = unsafe queue.transmit(frames)
        if timer.isDue(after: sent) { time() }
        if sent < frames.count {
            // The completion ring may hold what the TX ring lacks room for.
            queue.wakeToTransmit(sent)
            queue.reclaim()
            let rest = unsafe UnsafeMutableBufferPointer(rebasing: frames[sent...])
            sent += unsafe queue.transmit(rest)
        }
        var bytes = batch.outgoingByteCount
        for index in sent..<frames.count {
            unsafe queue.recycle(address: frames[index].addr)
            unsafe bytes &-= UInt64(frames[index].len)
            counters.add(DropReason.txFull)
        }
        if sent < frames.count {
            batch.noteDrop(outgoing: sent, for: .txFull, in: counters, at: clock.tick)
        }
        queue.wakeToTransmit(sent)
        counters.add(UInt64(sent), to: .transmittedPackets)
        counters.add(bytes, to: .transmittedBytes)
        return sent
    }

    @inline(__always)
    private mutating func discard() {
        let addresses = unsafe batch.discards
        if addresses.count > 0 { unsafe queue.recycle(addresses) }
        let wanted = unsafe batch.resolveRequests
        if wanted.count > 0 { unsafe mailbox.ask(for: wanted) }
    }

    // MARK: Requests

    // Out of line: what it does with references is not to be part of the loop.
    @inline(never)
    private mutating func serveRequests() {
        if scan == nil {
            scan = mailbox.nextScan()
            scanCursor = 0
        }
        guard let current = scan else { return }
        if pipeline.advance(current, from: &scanCursor, snapshots.current, at: clock.tick) {
            current.finish()
            scan = nil
        }
    }

    /// Nobody is to wait for a worker that has ended.
    @inline(never)
    private mutating func finishScans() {
        scan?.finish()
        scan = nil
        while let next = mailbox.nextScan() { next.finish() }
    }

    // MARK: Time

    /// Counts how long the batch took from the RX ring to the TX ring: the clock was read just
    /// before it was received.
    @inline(never)
    private func time() {
        let elapsed = clock.elapsed()
        counters.add(1, to: PacketTimer.bucket(of: elapsed))
        counters.add(elapsed, to: .timedNanoseconds)
    }

    /// Counts what came, before the pipeline makes other frames of it.
    @inline(__always)
    private func countReceived(_ received: Int) {
        var bytes: UInt64 = 0
        for index in 0..<received { bytes &+= unsafe UInt64(batch.receiveBuffer[index].len) }
        counters.add(UInt64(received), to: .receivedPackets)
        counters.add(bytes, to: .receivedBytes)
    }

    @inline(__always)
    private mutating func account(handled: Int) {
        let elapsed = clock.advance()
        counters.add(1, to: .rounds)
        guard handled > 0 else {
            counters.add(elapsed, to: .idleNanoseconds)
            return
        }
        latestFrame = clock.nanoseconds
        counters.add(elapsed, to: .busyNanoseconds)
        counters.add(1, to: .batches)
        counters.add(1, to: Self.bucket(of: handled))
        publishLevels()
    }

    /// Levels and totals that others may read but that live in the queue.
    private mutating func publishLevels() {
        counters.add(queue.transmitWakeups &- transmitWakeups, to: .transmitWakeups)
        counters.add(queue.fillWakeups &- fillWakeups, to: .fillWakeups)
        transmitWakeups = queue.transmitWakeups
        fillWakeups = queue.fillWakeups
        let chunks = queue.chunks
        counters.set(.chunksFill, to: UInt64(chunks.fill))
        counters.set(.chunksReceived, to: UInt64(chunks.received))
        let completed = min(queue.completedCount, chunks.transmitting)
        counters.set(.chunksTransmitting, to: UInt64(chunks.transmitting &- completed))
        counters.set(.chunksCompleted, to: UInt64(completed))
        counters.set(.chunksFree, to: UInt64(chunks.free))
        counters.set(.connections, to: UInt64(pipeline.connectionCount))
    }

    private static func bucket(of count: Int) -> Counter {
        switch count {
        case ...1: .batchesUpTo1
        case ...8: .batchesUpTo8
        case ...16: .batchesUpTo16
        case ...32: .batchesUpTo32
        default: .batchesUpTo64
        }
    }

    /// Nothing came: wake the kernel if it asks for it, and sleep if it is time to.
    private mutating func rest() {
        queue.wakeToTransmit(0)
        let idle = clock.nanoseconds &- latestFrame
        switch options.idle {
        case .spin: queue.wakeToFill()
        case .adaptive:
            if idle < options.patience {
                queue.wakeToFill()
            } else {
                sleep()
            }
        case .block: sleep()
        }
    }

    /// Sleeps until a frame comes, somebody rings, or the longest sleep is over.
    private mutating func sleep() {
        publishLevels()
        let doorbell = peers.ownDoorbell
        doorbell.prepareToSleep()
        var rang = false
        if !hasWork {
            var descriptors = (
                pollfd(fd: queue.fileDescriptor, events: Int16(POLLIN), revents: 0),
                pollfd(fd: doorbell.fileDescriptor, events: Int16(POLLIN), revents: 0)
            )
            unsafe withUnsafeMutablePointer(to: &descriptors) { pointer in
                _ = unsafe poll(
                    UnsafeMutableRawPointer(pointer).assumingMemoryBound(to: pollfd.self), 2,
                    options.longestSleep)
            }
            rang = descriptors.1.revents != 0
        }
        doorbell.wakeUp(rang: rang)
        counters.add(clock.advance(), to: .blockedNanoseconds)
    }

    private var hasWork: Bool {
        mailbox.mayHaveRequests || mailbox.isStopped || scan != nil || queue.hasWork
            || peers.hasFrames
    }
}
