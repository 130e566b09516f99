// SPDX-License-Identifier: Apache-2.0
internal import Synchronization

/// Copies of frames on their way from one worker to the control side, while a capture runs.
///
/// Written by the worker, read by one task of the control side. Places count bytes and run free:
/// the producer's is stored with release after the bytes, the consumer's after they were copied
/// out; each side loads the other's with acquire. Bounded: a frame that finds it full is lost to
/// the capture, and counted.
///
/// A view of memory that it does not own, so that the worker's loop follows no reference. A record
/// lies in one piece; a length of 0 in its place means that it is at the beginning.
@safe
public struct CaptureRing: @unchecked Sendable {
    /// Places in the memory; the first three have a cache line each, as two threads use them.
    private enum Place {
        static let produced = 0
        static let consumed = 64
        static let lost = 128
        /// Of the worker alone: frames that matched, frames that were captured.
        static let matched = 192
        static let numbered = 200
        static let settings = 256
        static let lengths = 384
        static let scratch = lengths + Batch.capacity * 4
    }

    /// Places in a record: its bytes, those of its two copies, what became of it, the copies.
    private enum Part {
        static let byteCount = 0
        static let receivedCount = 4
        static let sentCount = 8
        static let record = 16
        static let copies = record + (MemoryLayout<CaptureRecord>.size + 7) & ~7
    }

    private let base: UnsafeMutableRawPointer
    private let bytes: UnsafeMutableRawPointer
    /// How the capture is taken.
    public let settings: CaptureSettings

    /// Bytes of memory that a ring takes.
    public static func byteCount(_ settings: CaptureSettings) -> Int {
        Place.scratch + Batch.capacity * slotByteCount(settings.snapLength) + settings.capacity
    }

    static func longestRecord(snapLength: Int) -> Int {
        (Part.copies + 2 * snapLength + 7) & ~7
    }

    private static func slotByteCount(_ snapLength: Int) -> Int { (snapLength + 63) & ~63 }

    /// An empty ring.
    ///
    /// - Parameters:
    ///   - memory: ``byteCount(_:)`` zeroed bytes, aligned to 64, that outlive it.
    ///   - settings: What the worker is to copy.
    public init(preparing memory: UnsafeMutableRawPointer, _ settings: CaptureSettings) {
        precondition(MemoryLayout<CaptureSettings>.size <= Place.lengths - Place.settings)
        unsafe memory.storeBytes(
            of: settings, toByteOffset: Place.settings, as: CaptureSettings.self)
        unsafe self.init(at: memory)
    }

    /// The ring that was prepared in the memory.
    public init(at memory: UnsafeMutableRawPointer) {
        unsafe base = memory
        settings = unsafe memory.load(fromByteOffset: Place.settings, as: CaptureSettings.self)
        unsafe bytes =
            memory + Place.scratch + Batch.capacity * Self.slotByteCount(settings.snapLength)
    }

    /// Where it lies, as a number.
    public var address: UInt { unsafe UInt(bitPattern: base) }

    private func atomic(_ place: Int) -> UnsafeMutablePointer<Atomic<UInt64>> {
        unsafe (base + place).assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    // MARK: Worker's side

    /// Copies the beginning of a frame aside, before its bytes are rewritten.
    func keep(_ frame: UnsafeRawBufferPointer, at index: Int) {
        let slot = unsafe base + slotOffset(index)
        let count = min(frame.count, settings.snapLength)
        if let start = frame.baseAddress {
            unsafe slot.copyMemory(from: start, byteCount: count)
        }
        unsafe (base + Place.lengths).storeBytes(
            of: UInt32(truncatingIfNeeded: frame.count), toByteOffset: index &* 4, as: UInt32.self)
    }

    /// Bytes of the frame that was kept at a place; all of them, not those of the copy.
    func keptLength(at index: Int) -> UInt32 {
        unsafe (base + Place.lengths).load(fromByteOffset: index &* 4, as: UInt32.self)
    }

    /// What was kept at a place.
    func kept(at index: Int) -> UnsafeRawBufferPointer {
        let count = min(Int(keptLength(at: index)), settings.snapLength)
        return unsafe UnsafeRawBufferPointer(start: base + slotOffset(index), count: count)
    }

    private func slotOffset(_ index: Int) -> Int {
        Place.scratch &+ index &* Self.slotByteCount(settings.snapLength)
    }

    /// Counts a frame that matched; whether it is one that the sampling takes.
    func isSampled() -> Bool {
        let matched: UInt64 = unsafe base.load(fromByteOffset: Place.matched, as: UInt64.self)
        unsafe base.storeBytes(of: matched &+ 1, toByteOffset: Place.matched, as: UInt64.self)
        return matched % UInt64(max(settings.filter.sampling, 1)) == 0
    }

    /// Puts a record in, under the next number; counts it as lost when there is no room.
    func put(
        _ record: CaptureRecord, _ received: UnsafeRawBufferPointer, _ sent: UnsafeRawBufferPointer
    ) {
        var record = record
        record.number = unsafe base.load(fromByteOffset: Place.numbered, as: UInt64.self)
        unsafe base.storeBytes(
            of: record.number &+ 1, toByteOffset: Place.numbered, as: UInt64.self)
        let count = (Part.copies &+ received.count &+ sent.count &+ 7) & ~7
        guard let place = unsafe reserve(count) else {
            let lost = unsafe atomic(Place.lost)
            unsafe lost.pointee.store(
                lost.pointee.load(ordering: .relaxed) &+ 1, ordering: .relaxed)
            return
        }
        unsafe place.start.storeBytes(
            of: UInt32(truncatingIfNeeded: count), toByteOffset: Part.byteCount, as: UInt32.self)
        unsafe place.start.storeBytes(
            of: UInt32(truncatingIfNeeded: received.count), toByteOffset: Part.receivedCount,
            as: UInt32.self)
        unsafe place.start.storeBytes(
            of: UInt32(truncatingIfNeeded: sent.count), toByteOffset: Part.sentCount,
            as: UInt32.self)
        unsafe place.start.storeBytes(
            of: record, toByteOffset: Part.record, as: CaptureRecord.self)
        let copies = unsafe place.start + Part.copies
        if let start = received.baseAddress {
            unsafe copies.copyMemory(from: start, byteCount: received.count)
        }
        if let start = sent.baseAddress {
            unsafe (copies + received.count).copyMemory(from: start, byteCount: sent.count)
        }
        unsafe atomic(Place.produced).pointee.store(place.end, ordering: .releasing)
    }

    /// Room for a record of so many bytes in one piece, and where the next one then begins.
    private func reserve(_ count: Int) -> (start: UnsafeMutableRawPointer, end: UInt64)? {
        let produced = unsafe atomic(Place.produced).pointee.load(ordering: .relaxed)
        let consumed = unsafe atomic(Place.consumed).pointee.load(ordering: .acquiring)
        let free = settings.capacity &- Int(produced &- consumed)
        let offset = Int(produced) & (settings.capacity &- 1)
        let left = settings.capacity &- offset
        if count <= left {
            guard count <= free else { return nil }
            return unsafe (bytes + offset, produced &+ UInt64(count))
        }
        guard left &+ count <= free else { return nil }
        unsafe bytes.storeBytes(of: 0, toByteOffset: offset, as: UInt32.self)
        return unsafe (bytes, produced &+ UInt64(left &+ count))
    }

    // MARK: Control side

    /// Frames that were lost because the ring was full.
    public var lostCount: UInt64 { unsafe atomic(Place.lost).pointee.load(ordering: .relaxed) }

    /// The oldest record; `nil` when the ring is empty.
    public func next() -> CapturedPair? {
        var consumed = unsafe atomic(Place.consumed).pointee.load(ordering: .relaxed)
        let produced = unsafe atomic(Place.produced).pointee.load(ordering: .acquiring)
        guard consumed != produced else { return nil }
        var offset = Int(consumed) & (settings.capacity - 1)
        var count = unsafe bytes.load(fromByteOffset: offset, as: UInt32.self)
        if count == 0 {
            consumed &+= UInt64(settings.capacity - offset)
            offset = 0
            count = unsafe bytes.load(as: UInt32.self)
        }
        let start = unsafe bytes + offset
        let receivedCount = unsafe Int(
            start.load(fromByteOffset: Part.receivedCount, as: UInt32.self))
        let sentCount = unsafe Int(start.load(fromByteOffset: Part.sentCount, as: UInt32.self))
        let copies = unsafe start + Part.copies
        let pair = unsafe CapturedPair(
            record: start.load(fromByteOffset: Part.record, as: CaptureRecord.self),
            received: Array(UnsafeRawBufferPointer(start: copies, count: receivedCount)),
            sent: Array(
                UnsafeRawBufferPointer(start: copies + receivedCount, count: sentCount)))
        unsafe atomic(Place.consumed).pointee.store(
            consumed &+ UInt64(count), ordering: .releasing)
        return pair
    }
}
