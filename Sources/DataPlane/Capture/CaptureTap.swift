// SPDX-License-Identifier: Apache-2.0
internal import CXDP

/// The worker's end of a capture: copies frames before and after the pipeline, and says what became
/// of them.
///
/// Called twice a batch, and only while a capture runs.
public struct CaptureTap {
    private let ring: CaptureRing

    /// What the rest of the round did with a batch.
    public struct Round {
        /// Of the outgoing frames, the first ones, which the TX ring took.
        public var sentCount: Int
        /// By a bit each, the frames that were lost on their way to another worker.
        public var lostHandOffs: UInt64
        /// When the batch was received, in nanoseconds.
        public var receivedAt: UInt64
        /// When it had been sent.
        public var sentAt: UInt64

        /// A round of its parts.
        public init(
            sentCount: Int, lostHandOffs: UInt64, receivedAt: UInt64, sentAt: UInt64
        ) {
            self.sentCount = sentCount
            self.lostHandOffs = lostHandOffs
            self.receivedAt = receivedAt
            self.sentAt = sentAt
        }
    }

    /// A tap that writes into a ring.
    public init(_ ring: CaptureRing) { self.ring = ring }

    /// Copies the frames of a batch aside: the pipeline will write over them.
    @inline(never)
    public func keep(_ batch: borrowing Batch, in memory: FrameMemory) {
        for index in 0..<batch.count {
            let frame = memory.frame(at: batch.address(at: index), length: batch.length(at: index))
            unsafe ring.keep(
                frame?.contents ?? UnsafeRawBufferPointer(start: nil, count: 0), at: index)
        }
    }

    /// Captures the frames of a batch that are meant.
    ///
    /// To be called before chunks of the batch are received into again: what was sent is still
    /// there to be copied.
    @inline(never)
    public func write(_ batch: borrowing Batch, in memory: FrameMemory, _ round: Round) {
        let outgoing = unsafe batch.transmits
        var next = 0
        for index in 0..<batch.count {
            var record = record(of: index, in: batch, round)
            var sent: Frame?
            switch batch[index].verdict {
            case .transmit:
                // Frames leave in the order they came in.
                let descriptor = unsafe outgoing[next]
                sent = memory.frame(at: descriptor.addr, length: descriptor.len)
                if next >= round.sentCount {
                    record.outcome = .dropped
                    record.reason = .txFull
                    sent = nil
                }
                next &+= 1
            case .drop(let reason):
                record.outcome = .dropped
                record.reason = reason
            case .handOff:
                // What arrives there is captured there.
                guard round.lostHandOffs & 1 << UInt64(index) != 0 else { continue }
                record.outcome = .dropped
                record.reason = .txFull
            case .wait: record.outcome = .waiting
            case .undecided: continue
            }
            take(record, batch[index], index, sent)
        }
    }

    private func record(
        of index: Int, in batch: borrowing Batch, _ round: Round
    ) -> CaptureRecord {
        let packet = batch[index]
        let hasBackend = packet.backend != MaglevTable.nobody
        let answered = batch.answeredReason(at: index)
        return CaptureRecord(
            number: 0, receivedAt: round.receivedAt, sentAt: round.sentAt,
            receivedLength: ring.keptLength(at: index), sentLength: 0,
            service: packet.service == Parties.noService ? nil : packet.service,
            backend: hasBackend ? packet.backend : nil, reason: answered,
            outcome: answered == nil ? .sent : .refused,
            lookup: packet.missed
                ? .miss : hasBackend && packet.layout.kind != .laterFragment ? .hit : .none,
            isHandedOver: batch.isHandedOver(index))
    }

    private func take(
        _ record: CaptureRecord, _ packet: PacketState, _ index: Int, _ sent: Frame?
    ) {
        let filter = ring.settings.filter
        guard filter.admits(record, packet) else { return }
        if let client = filter.client, packet.flow.source != client,
            sent.flatMap(Self.destination) != client
        {
            return
        }
        let isDropped = record.outcome == .dropped
        let showsReceived =
            filter.points.contains(.received) || isDropped && filter.points.contains(.dropped)
        let showsSent = sent != nil && filter.points.contains(.sent)
        guard showsReceived || showsSent, ring.isSampled() else { return }
        var record = record
        let nothing = unsafe UnsafeRawBufferPointer(start: nil, count: 0)
        let received = showsReceived ? unsafe ring.kept(at: index) : unsafe nothing
        guard showsSent, let sent else {
            return unsafe ring.put(record, received, nothing)
        }
        record.sentLength = UInt32(truncatingIfNeeded: sent.length)
        let copy = unsafe UnsafeRawBufferPointer(
            rebasing: sent.contents.prefix(ring.settings.snapLength))
        unsafe ring.put(record, received, copy)
    }

    /// Where the packet of a frame goes; `nil` when it is no IP.
    private static func destination(of frame: Frame) -> IPAddress? {
        guard let ethernet = EthernetHeader(in: frame) else { return nil }
        let isTagged = ethernet.type == EthernetHeader.EtherType.vlan
        let offset = EthernetHeader.byteCount + (isTagged ? VLANTag.byteCount : 0)
        return FrameSummary.Packet(in: frame, at: offset)?.destination
    }
}
